"""The audit log over the JSON API."""

from __future__ import annotations

import csv
import io
import json

import pytest
from canary import OTHER_PASSWORD
from web.json.api import Api


def test_a_change_is_in_the_log_of_who_owns_the_thing(ada: Api, bob: Api, boss: Api) -> None:
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/app"})
    ada.ok("PUT", f"/repositories/{ada.name}/app/-/collaborators/{bob.name}", {"right": "write"})

    for asker in (ada, boss):
        newest, *_ = asker.ok("GET", f"/audit?account={ada.name}")["items"]
        assert (newest["actor"], newest["action"], newest["address"]) == (ada.name, "grant.set", ada.address)
        assert newest["target"].startswith(f"{ada.name}/app")
    assert bob("GET", f"/audit?account={ada.name}").status == bob("GET", "/audit?account=absent").status == 404
    assert all(ada.name not in (entry["actor"], entry["target"]) for entry in bob.items("/audit"))


def test_the_log_comes_in_pages_the_newest_first(ada: Api) -> None:
    for number in range(5):
        ada.ok("POST", "/repositories", {"name": f"{ada.name}/app{number}"})
    entries, path = [], "/audit?action=repository.create&n=2"
    page = ada.ok("GET", path)
    while page["next"]:
        entries += page["items"]
        page = ada.ok("GET", f"{path}&after={page['next']}")
    entries += page["items"]

    assert [entry["target"] for entry in entries] == [f"{ada.name}/app{number}" for number in (4, 3, 2, 1, 0)]


def test_the_log_can_be_exported_as_lines_and_as_a_table(ada: Api) -> None:
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/app", "description": 'with "quotes", and commas'})
    lines, table = ada("GET", "/audit/export"), ada("GET", "/audit/export?format=csv")
    entries = [json.loads(line) for line in lines.body.splitlines()]

    assert lines["content-type"] == "application/jsonl"
    assert table["content-type"] == "text/csv; charset=utf-8"
    assert [entry["id"] for entry in entries] == sorted(entry["id"] for entry in entries)
    assert entries == ada.items("/audit")[::-1]
    read = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert [row["action"] for row in read] == [entry["action"] for entry in entries]


def test_no_password_or_token_is_in_the_log(ada: Api, boss: Api) -> None:
    secret = ada.ok("POST", "/account/tokens", {"name": "ci", "scopes": ["read"]})["secret"]
    ada.ok("PUT", "/account/password", {"current": ada.password, "new": OTHER_PASSWORD})
    exported = boss("GET", "/audit/export").body

    assert b"token.create" in exported
    for hidden in (secret, ada.password, OTHER_PASSWORD):
        assert hidden.encode() not in exported


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=99999999999999999999", "format=xml", "account=%00"])
def test_a_query_that_can_not_be_is_refused(boss: Api, query: str) -> None:
    assert boss("GET", f"/audit/export?{query}").status == 400
    assert boss("GET", f"/audit?{query}").status == 400
