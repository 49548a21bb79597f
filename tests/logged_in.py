"""Machines of people: our command line, logged in to a hub with accounts, which is its default registry."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import TYPE_CHECKING

from canary import password_of
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
    """A machine of a user who did not exist before, whose password is :func:`password_of` them."""
    administrators = base64.b64encode(f"{hub.admin}:{hub.password}".encode()).decode()
    made = urllib.request.Request(
        f"{hub.url}/api/v1/users",
        json.dumps({"name": name, "password": password_of(name)}).encode(),
        {"Authorization": f"Basic {administrators}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(made, timeout=60).close()
    return logged_in(hub, machines(name), name, password_of(name))


def administrator(hub: Hub, machines: Machines) -> Machine:
    """A machine of the hub's administrator."""
    return logged_in(hub, machines(hub.admin), hub.admin, hub.password)
