"""Machines of people: our command line, logged in to a hub with accounts, which is its default registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servers import DOCKYARD, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub, Machine

    Machines = Callable[[str], Machine]


def at(hub: Hub, machine: Machine) -> Machine:
    """The machine, with the hub as default registry and nobody logged in."""
    machine.env["DOCKYARD_DEFAULT_REGISTRY"] = hub.host
    return machine


def logged_in(hub: Hub, machine: Machine, name: str, secret: str) -> Machine:
    """The machine, logged in as ``name`` with a password or a token."""
    done = run(DOCKYARD, "login", "-u", name, "--password-stdin", hub.host, env=at(hub, machine).env, input=secret)
    assert done.returncode == 0, done.stderr
    return machine


def new_user(hub: Hub, machines: Machines, name: str) -> Machine:
    """A machine of a user who did not exist before."""
    return logged_in(hub, machines(name), name, hub.user(name))


def administrator(hub: Hub, machines: Machines) -> Machine:
    """A machine of the hub's administrator."""
    return logged_in(hub, machines(hub.admin), hub.admin, hub.password)
