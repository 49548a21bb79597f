"""``search``: what is found, and what is not shown to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from logged_in import administrator, at, new_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub, Machine

    Machines = Callable[[str], Machine]


def test_names_and_descriptions_are_searched(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "search-ada")
    long = "brews tea " * 10
    ada.ok("repo", "create", "search-ada/kettle", "--public", "--description", long.strip())
    ada.ok("repo", "create", "search-ada/teapot-x", "--public")
    administrator(accounts_hub, machine).ok("repo", "create", "search-teapot-x")

    assert ada.ok("search", "-q", "BREWS TEA") == "search-ada/kettle\n"
    assert ada.ok("search", "teapot-x") == (
        "NAME                  DESCRIPTION   PUSHED    OFFICIAL\n"
        "search-ada/teapot-x                 never     \n"
        "search-teapot-x                     never     [OK]\n"
    )
    assert ada.ok("search", "--limit", "1", "--quiet", "teapot-x") == "search-ada/teapot-x\n"
    shown = ada.ok("search", "--format", "{{.Description}}", "kettle")
    assert shown == f"{long[:44]}…\n"
    assert ada.ok("search", "--no-trunc", "--format", "{{.Description}}", "kettle").strip() == long.strip()


def test_what_is_private_is_found_by_its_owner_alone(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "search-owner")
    bob = new_user(accounts_hub, machine, "search-stranger")
    ada.ok("repo", "create", "search-owner/hidden-z", "--private")
    found = [json.loads(line)["Name"] for line in ada.ok("search", "hidden-z", "--format", "json").splitlines()]

    assert found == ["search-owner/hidden-z"]
    assert bob.ok("search", "-q", "hidden-z") == ""
    assert at(accounts_hub, machine("nobody")).ok("search", "-q", "hidden-z") == ""
