"""What a refusal says beside its status: what was asked for, as clients of docker's want to hear."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from web.wire import Wire

if TYPE_CHECKING:
    from servers import Hub


def asked(name: str, *actions: str) -> list[dict[str, str]]:
    """The detail, in distribution's words (its ``registry/handlers/app.go`` puts access records there)."""
    return [{"Type": "repository", "Class": "", "Name": name, "Action": action} for action in actions]


def test_refusals_have_the_detail_without_which_docker_tries_for_a_minute(accounts_hub: Hub) -> None:
    password = accounts_hub.user("refused.ada")
    basic = {"Authorization": "Basic " + base64.b64encode(f"refused.ada:{password}".encode()).decode()}
    with Wire(accounts_hub) as wire:
        unknown = wire("POST", "/v2/refused.grace/app/blobs/uploads/")
        denied = wire("POST", "/v2/refused.grace/app/blobs/uploads/", None, basic)
        deletion = wire("DELETE", "/v2/refused.grace/app/manifests/v1", None, basic)
        catalog = wire("GET", "/v2/_catalog")

    assert (unknown.status, denied.status, deletion.status, catalog.status) == (401, 403, 403, 401)
    assert unknown.json["errors"][0]["detail"] == asked("refused.grace/app", "pull", "push")
    assert denied.json["errors"][0]["detail"] == asked("refused.grace/app", "pull", "push")
    assert deletion.json["errors"][0]["detail"] == asked("refused.grace/app", "delete")
    assert catalog.json["errors"][0]["detail"] == [{"Type": "registry", "Class": "", "Name": "catalog", "Action": "*"}]


def test_a_refusal_of_nothing_in_particular_has_no_detail(accounts_hub: Hub) -> None:
    with Wire(accounts_hub) as wire:
        answer = wire("GET", "/v2/")

    assert (answer.status, "detail" in answer.json["errors"][0]) == (401, False)
