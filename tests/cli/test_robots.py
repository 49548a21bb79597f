"""``robot``: accounts for machines, made by people and used by clients."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from logged_in import logged_in, new_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub, Machine

    Machines = Callable[[str], Machine]


def test_a_robots_password_is_alone_on_stdout_and_logs_in(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "robot-ada")
    ada.ok("repo", "create", "robot-ada/app", "--private")
    made = ada("robot", "create", "robot-ada/ci", "--repo", "robot-ada/app", "--right", "write", "--expires", "90d")
    robot = logged_in(accounts_hub, machine("robot"), "robot-ada+ci", made.stdout.strip())

    assert made.returncode == 0
    assert len(made.stdout.splitlines()) == 1
    assert made.stdout.startswith("dyr_")
    assert made.stderr == (
        "Log in as robot-ada+ci, with this password. It is shown this once and expires in 3 months.\n"
    )
    assert robot.ok("repo", "ls", "--format", "{{.Name}} {{.Right}}", "robot-ada") == "robot-ada/app write\n"


def test_robots_are_listed_and_removed(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "robot-list")
    for name in ("app", "web"):
        ada.ok("repo", "create", f"robot-list/{name}")
    full = f"{accounts_hub.host}/robot-list/app:write"
    made = ada.ok("robot", "create", "robot-list/ci", "--repo", full, "--repo", "robot-list/web", "--format", "json")
    robot = json.loads(made)

    assert (robot["Name"], robot["Expires"], robot["Secret"][:4]) == ("robot-list+ci", None, "dyr_")
    assert robot["Grants"] == [
        {"Repository": "robot-list/app", "Right": "write"},
        {"Repository": "robot-list/web", "Right": "read"},
    ]
    assert ada.ok("robot", "ls", "robot-list").splitlines()[0].split() == (
        ["NAME", "RIGHTS", "CREATED", "EXPIRES", "LAST", "USED"]
    )
    assert ada.ok("robot", "ls", "-q", "robot-list") == "robot-list+ci\n"
    assert ada.ok("robot", "list", "--format", "{{.Rights}}; {{.ExpiresIn}}; {{.UsedSince}}", "robot-list") == (
        "robot-list/app:write, robot-list/web:read; never; never\n"
    )
    assert ada.ok("robot", "rm", "robot-list+ci", "--format", "{{.Name}}") == "robot-list+ci\n"
    assert ada("robot", "rm", "robot-list/ci").stderr == "Error: there is no robot robot-list+ci\n"


def test_a_robot_gets_no_more_than_who_makes_it_has(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "robot-maker")
    bob = new_user(accounts_hub, machine, "robot-other")
    ada.ok("repo", "create", "robot-maker/app", "--public")

    assert bob("robot", "create", "robot-other/ci", "--repo", "robot-maker/app:write").returncode == 1
    assert bob("robot", "create", "robot-maker/ci", "--repo", "robot-maker/app").returncode == 1
    assert bob("robot", "ls", "robot-maker").returncode == 1
