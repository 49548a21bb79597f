"""Who sees which page: every address of the pages, signed out and as each role; and no page shows others' data."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from contract.access_world import PRIVATE, ROLES, World, people, sessions
from contract.test_access_matrix_api import ROWS, filled
from servers import Hub
from web.wire import Answer, Wire

from dockyard.registry.profiles import NewSession
from dockyard.web.pages.site import PAGES

USERS = [role for role in ROLES if not role.startswith("robot")]
TO_LOGIN = (303, "/login?next=")

ADDRESSES: Mapping[str, tuple[object, object]] = {
    # address: what who is signed out gets, and what who is signed in gets: a status, or a status and where it leads
    "/": (200, 200),
    "/login": (200, (303, "/")),
    "/login/code": ((303, "/login?next="), (303, "/")),
    "/logout": (404, 404),
    "/setup": (404, 404),
    "/signup": (403, (303, "/")),
    "/account": (TO_LOGIN, 200),
    "/account/tokens": (TO_LOGIN, 200),
    "/account/two-factor": (TO_LOGIN, 200),
    "/account/sessions": (TO_LOGIN, 200),
    "/account/invitations": (TO_LOGIN, 403),
    "/account/never-was": (404, 404),
    "/acme": (404, 404),
    f"/{PRIVATE}": (404, 404),
    "/signup?invitation=guessed": (404, 404),
    "/setup?code=guessed": (404, 404),
    "/static/never-was.css": (404, 404),
}
"""Every page, and some addresses that have none. On this hub only administrators invite."""


@dataclass(frozen=True)
class Pages:
    """A running hub with everybody signed in."""

    server: Hub
    world: World
    browsers: Mapping[str, NewSession]

    def get(self, wire: Wire, role: str, path: str) -> Answer:
        headers = {"Accept": "text/html"}
        if role != "signed out":
            headers["Cookie"] = f"dockyard_session={self.browsers[role].cookie}"
        return wire("GET", path, headers=headers)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    server = Hub(tmp_path_factory.mktemp("pages-matrix") / "data", auth="accounts")
    world = asyncio.run(people(server))
    yield Pages(server, world, asyncio.run(sessions(server, world)))
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_every_page_has_its_line_here() -> None:
    assert {page.path for page in PAGES} <= set(ADDRESSES)


@pytest.mark.parametrize("role", ["signed out", *USERS])
def test_each_gets_the_pages_that_are_for_them(pages: Pages, role: str) -> None:
    wanted: dict[str, object] = {}
    found: dict[str, object] = {}
    with Wire(pages.server) as wire:
        for path, (signed_out, signed_in) in ADDRESSES.items():
            answer = pages.get(wire, role, path)
            wanted[path] = signed_out if role == "signed out" else signed_in
            found[path] = answer.status
            if answer.status == 303:
                place = answer["location"] or ""
                found[path] = 303, place.partition("=")[0] + "=" if "=" in place else place
    if role == "administrator":
        wanted["/account/invitations"] = 200

    assert found == wanted


@pytest.mark.parametrize("role", ["signed out", *USERS])
def test_no_page_shows_what_is_of_others(pages: Pages, role: str) -> None:
    others = [name for other, name in pages.world.names.items() if other != role]
    theirs = [f"{sign}{name}{end}" for name in others for sign, end in (("Full ", "<"), ("Full ", '"'), ("", "@mail"))]
    theirs += [f"browser of {name}" for name in others]
    # A cookie or token of anybody stands on no page, the own neither.
    secrets = [*pages.world.secrets.values(), *(session.cookie for session in pages.browsers.values())]
    secrets += [session.csrf for other, session in pages.browsers.items() if other != role]
    with Wire(pages.server) as wire:
        texts = {path: pages.get(wire, role, path).body.decode() for path in ADDRESSES}

    shown = {path: text for path, text in texts.items() if path != f"/{PRIVATE}"}
    for path, text in shown.items():
        assert not [mark for mark in (*theirs, *secrets) if mark in text], path
        assert PRIVATE not in text, path
    if role != "signed out":
        name = pages.world.names[role]
        assert f"{name}@mail.example" in texts["/account"]
        assert f"browser of {name}" in texts["/account/sessions"]


@pytest.mark.parametrize("role", ["signed out", "stranger", "owner"])
def test_the_address_of_what_is_hidden_answers_as_one_of_nothing(pages: Pages, role: str) -> None:
    with Wire(pages.server) as wire:
        hidden, absent = (pages.get(wire, role, f"/{name}") for name in (PRIVATE, "acme/never-was"))

    assert hidden.status == absent.status == 404
    assert hidden.body.replace(PRIVATE.encode(), b"NAME") == absent.body.replace(b"acme/never-was", b"NAME")


@pytest.mark.parametrize("role", ["stranger", "administrator"])
def test_a_cookie_alone_opens_no_page_of_the_api_and_nothing_of_the_protocol(pages: Pages, role: str) -> None:
    session = pages.browsers[role]
    cookie = {"Cookie": f"dockyard_session={session.cookie}"}
    with Wire(pages.server) as wire:
        alone = wire("GET", "/api/v1/account", headers=cookie)
        with_others = wire("GET", "/api/v1/account", headers=cookie | {"X-CSRF-Token": "x" * 43})
        with_both = wire("GET", "/api/v1/account", headers=cookie | {"X-CSRF-Token": session.csrf})
        protocol = wire("GET", "/v2/", headers=cookie | {"X-CSRF-Token": session.csrf})

    assert [alone.status, with_others.status, with_both.status, protocol.status] == [401, 401, 200, 401]
    assert with_both.json["name"] == pages.world.names[role]


@pytest.mark.parametrize("role", ["administrator", "owner", "member", "collaborator-admin", "stranger"])
def test_a_session_with_its_token_reads_on_the_api_what_a_token_of_its_user_reads(pages: Pages, role: str) -> None:
    session = pages.browsers[role]
    by_session = {"Cookie": f"dockyard_session={session.cookie}", "X-CSRF-Token": session.csrf}
    by_token = pages.world.basic(role, "admin")
    reads = [filled(row, PRIVATE)[0] for key, row in ROWS.items() if key.startswith("GET ")]
    with Wire(pages.server) as wire:
        statuses = [
            [wire("GET", f"/api/v1{path}", headers=headers).status for path in reads]
            for headers in (by_session, by_token)
        ]

    assert statuses[0] == statuses[1]


def test_a_cookie_that_is_over_is_as_none(pages: Pages) -> None:
    with Wire(pages.server) as wire:
        headers = {"Accept": "text/html", "Cookie": "dockyard_session=" + "x" * 43}
        answer = wire("GET", "/account", headers=headers)

    assert (answer.status, answer["location"]) == (303, "/login?next=%2Faccount")
