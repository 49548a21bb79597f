"""Who may do what over the JSON API: every operation of its document, every role, public and private, each scope.

What is expected is said here once more, in words of its own; what the code decides by is not asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from canary import OTHER_PASSWORD, WRONG_PASSWORD
from contract.access_world import PRIVATE, PUBLIC, ROLES, World, people, sessions
from contract.test_access_matrix import rights
from servers import Hub
from web.wire import Answer, Wire

from dockyard.registry.access import Right

PREFIX = "/api/v1"
SCOPES = ("read", "write", "delete", "admin")
OWNERS = {"administrator", "owner"}
INSIDE = OWNERS | {"member", "team-read", "team-write", "team-admin"}
SECRETIVE = "a submarine of the navy"
"""What the private repository's description says."""


@dataclass(frozen=True)
class Row:
    """One request: what it takes, and the status where that is there.

    ``{repo}`` is a repository that stays, and ``{gone}`` one that may be removed. ``{victim}`` and ``{id}`` are what
    an earlier row of the same asker made where that succeeds, and otherwise somebody else's.
    """

    path: str
    takes: str
    allowed: int
    body: Any = None


ROWS: Mapping[str, Row] = {
    "GET /openapi.json": Row("/openapi.json", "nothing", 200),
    "GET /account": Row("/account", "an account", 200),
    "PATCH /account": Row("/account", "an account and admin", 200, {}),
    "PUT /account/password": Row(
        "/account/password", "an account and admin", 401, {"current": WRONG_PASSWORD, "new": OTHER_PASSWORD}
    ),
    "POST /account/second-factor": Row(
        "/account/second-factor", "an account and admin", 401, {"password": WRONG_PASSWORD}
    ),
    "PUT /account/second-factor": Row("/account/second-factor", "an account and admin", 409, {"code": "000000"}),
    "DELETE /account/second-factor": Row(
        "/account/second-factor", "an account and admin", 409, {"password": WRONG_PASSWORD, "code": "000000"}
    ),
    "GET /account/tokens": Row("/account/tokens", "to be somebody", 200),
    "POST /account/tokens": Row("/account/tokens", "an account and admin", 201, {"name": "x", "scopes": ["read"]}),
    "DELETE /account/tokens/{id}": Row("/account/tokens/{id}", "an account and admin", 204),
    "DELETE /account/tokens/{id} of another": Row("/account/tokens/{token}", "an account and admin", 404),
    "GET /account/sessions": Row("/account/sessions", "an account", 200),
    "DELETE /account/sessions/{id}": Row("/account/sessions/{session}", "an account and admin", 404),
    "GET /accounts/{account}": Row("/accounts/acme", "nothing", 200),
    "GET /orgs": Row("/orgs", "to be somebody", 200),
    "POST /orgs": Row("/orgs", "an account and admin", 201, {"name": "o-{own}"}),
    "GET /orgs/{org}": Row("/orgs/acme", "to be inside", 200),
    "PATCH /orgs/{org}": Row("/orgs/acme", "to manage", 200, {}),
    "DELETE /orgs/{org}": Row("/orgs/acme", "to manage", 409),
    "GET /orgs/{org}/members": Row("/orgs/acme/members", "to be inside", 200),
    "PUT /orgs/{org}/members/{user}": Row("/orgs/acme/members/guest", "to manage", 204, {}),
    "GET /orgs/{org}/teams": Row("/orgs/acme/teams", "to be inside", 200),
    "POST /orgs/{org}/teams": Row("/orgs/acme/teams", "to manage", 201, {"name": "t-{own}"}),
    "GET /orgs/{org}/teams/{team}": Row("/orgs/acme/teams/readers", "to be inside", 200),
    "GET /orgs/{org}/teams/{team}/members": Row("/orgs/acme/teams/readers/members", "to be inside", 200),
    "PUT /orgs/{org}/teams/{team}/members/{user}": Row("/orgs/acme/teams/readers/members/guest", "to manage", 204),
    "DELETE /orgs/{org}/teams/{team}/members/{user}": Row("/orgs/acme/teams/readers/members/guest", "to manage", 204),
    "GET /orgs/{org}/teams/{team}/repositories": Row("/orgs/acme/teams/readers/repositories", "to be inside", 200),
    "PUT /orgs/{org}/teams/{team}/repositories/{repo}": Row(
        "/orgs/acme/teams/spare/repositories/acme/public", "to manage", 204, {"right": "read"}
    ),
    "DELETE /orgs/{org}/teams/{team}/repositories/{repo}": Row(
        "/orgs/acme/teams/spare/repositories/acme/public", "to manage", 204
    ),
    "DELETE /orgs/{org}/teams/{team}": Row("/orgs/acme/teams/{victim}", "to manage", 204, ("t-{own}", "readers")),
    "DELETE /orgs/{org}/members/{user}": Row("/orgs/acme/members/guest", "to manage", 204),
    "GET /repositories": Row("/repositories", "nothing", 200),
    "POST /repositories": Row("/repositories", "to create", 201, {"name": "acme/r-{own}"}),
    "GET /repositories/{repo}": Row("/repositories/{repo}", "to read it", 200),
    "PATCH /repositories/{repo}": Row("/repositories/{repo}", "to configure it", 200, {}),
    "GET /repositories/{repo}/-/collaborators": Row("/repositories/{repo}/-/collaborators", "to inspect it", 200),
    "PUT /repositories/{repo}/-/collaborators/{who}": Row(
        "/repositories/{repo}/-/collaborators/guest", "to configure it", 204, {"right": "admin"}
    ),
    "DELETE /repositories/{repo}/-/collaborators/{who}": Row(
        "/repositories/{repo}/-/collaborators/guest", "to configure it", 204
    ),
    "DELETE /repositories/{repo}": Row("/repositories/{gone}", "to remove it", 204),
    "GET /robots": Row("/robots?namespace=acme", "to inspect", 200),
    "POST /robots": Row("/robots", "to manage", 201, {"namespace": "acme", "name": "x-{own}", "grants": []}),
    "DELETE /robots/{robot}": Row("/robots/acme%2B{victim}", "to manage", 204, ("x-{own}", "robot-read")),
    "GET /search": Row("/search?q=a", "nothing", 200),
    "GET /audit": Row("/audit", "to be somebody", 200),
    "GET /audit of another": Row("/audit?account=acme", "to inspect", 200),
    "GET /audit/export": Row("/audit/export", "to be somebody", 200),
    "GET /audit/export of another": Row("/audit/export?account=acme", "to inspect", 200),
    "GET /invitations": Row("/invitations", "an account", 200),
    "POST /invitations": Row("/invitations", "to administer", 201, {}),
    "POST /invitations into an organisation": Row("/invitations", "to invite", 201, {"organisation": "acme"}),
    "DELETE /invitations/{id}": Row("/invitations/{id}", "to withdraw", 204),
    "GET /users": Row("/users", "to oversee", 200),
    "POST /users": Row("/users", "to administer", 201, {"name": "u-{own}"}),
    "PATCH /users/{user}": Row("/users/{victim}", "to administer", 200, ("u-{own}", "the-member", {"blocked": True})),
    "PUT /users/{user}/password": Row(
        "/users/{victim}/password", "to administer", 204, ("u-{own}", "the-member", {"password": OTHER_PASSWORD})
    ),
    "DELETE /users/{user}": Row("/users/{victim}", "to administer", 204, ("u-{own}", "the-member")),
}
"""Every operation of the document; what is asked twice has some more words in its key."""


def expected(row: Row, role: str, scope: str, where: str) -> int:
    """The status that the rules ask for."""
    robot = role.startswith("robot")
    administers, admin = role == "administrator", scope == "admin" and not robot
    inside = 403 if role in INSIDE else 404
    right = rights(role, where)
    readable = 403 if right >= Right.READ else 404
    holds, refused = {
        "nothing": (True, 0),
        "to be somebody": (True, 0),
        "an account": (not robot, 403),
        "an account and admin": (admin, 403),
        "to oversee": (administers, 403),
        "to administer": (administers and admin, 403),
        "to withdraw": (administers and admin, 404 if admin else 403),
        "to be inside": (role in INSIDE, inside),
        "to inspect": (role in OWNERS, inside),
        "to manage": (role in OWNERS and admin, inside),
        "to invite": (administers and admin, inside),
        "to create": (role in OWNERS and scope in ("write", "admin"), 403),
        "to read it": (right >= Right.READ, 404),
        "to inspect it": (right == Right.ADMIN, readable),
        "to configure it": (right == Right.ADMIN and admin, readable),
        "to remove it": (right == Right.ADMIN and (robot or scope in ("delete", "admin")), readable),
    }[row.takes]
    return row.allowed if holds else refused


@dataclass(frozen=True)
class Api:
    """A running hub with everybody on it, and ids of what belongs to others: a token and a session of each."""

    server: Hub
    world: World
    others: Mapping[str, dict[str, str]]
    invitation: int

    def ask(self, wire: Wire, method: str, path: str, headers: Mapping[str, str] = {}, body: Any = None) -> Answer:
        sent = {**headers, **({} if body is None else {"Content-Type": "application/json"})}
        return wire(method, PREFIX + path, None if body is None else json.dumps(body).encode(), sent)

    def must(self, wire: Wire, method: str, path: str, body: Any = None, role: str = "administrator") -> Any:
        answer = self.ask(wire, method, path, self.world.basic(role, "admin"), body)
        assert answer.status in (200, 201, 204), (method, path, answer.status, answer.body)
        return answer.json if answer.body else None

    def disposable(self, wire: Wire, role: str, scope: str, where: str) -> str:
        """A new repository on which the role has what it has on ``where``, by the same way."""
        name = f"acme/gone-{role}-{scope}-{where.partition('/')[2]}"
        self.must(wire, "POST", "/repositories", {"name": name, "private": where == PRIVATE})
        way, _, right = role.partition("-")
        if way == "team":
            self.must(wire, "PUT", f"/orgs/acme/teams/{right}ers/repositories/{name}", {"right": right})
        elif right:
            who = self.world.names[role].replace("+", "%2B")
            self.must(wire, "PUT", f"/repositories/{name}/-/collaborators/{who}", {"right": right})
        return name

    def run(self, wire: Wire, role: str, scope: str, where: str, *, all_of_it: bool) -> dict[str, int]:
        """Send every row, or those that are about a repository; return the statuses."""
        headers, own = self.world.basic(role, scope), f"{role}-{scope}"
        values = {"repo": where, "gone": self.disposable(wire, role, scope, where), "own": own}
        values |= self.others["stranger" if role == "owner" else "owner"]
        made: dict[str, str] = {}
        found: dict[str, int] = {}
        for key, row in ROWS.items():
            if not (all_of_it or row.takes.endswith(" it")):
                continue
            body = row.body
            if isinstance(body, tuple):
                mine, theirs, *rest = body
                values["victim"] = mine.format(own=own) if expected(row, role, scope, where) < 300 else theirs
                body = rest[0] if rest else None
            what = row.path.split("/")[-2]
            values["id"] = made.get(what, values["token"] if what == "tokens" else str(self.invitation))
            if isinstance(body, dict):
                body = {name: text.format(own=own) if isinstance(text, str) else text for name, text in body.items()}
            answer = self.ask(wire, key.partition(" ")[0], row.path.format(**values), headers, body)
            found[key] = answer.status
            if key == "POST /account/tokens" and answer.status == 201:
                made["tokens"] = str(answer.json["token"]["id"])
            if key == "POST /invitations" and answer.status == 201:
                made["invitations"] = str(answer.json["invitation"]["id"])
        return found


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    server = Hub(tmp_path_factory.mktemp("api-matrix") / "data", auth="accounts")
    world = asyncio.run(people(server))
    asyncio.run(sessions(server, world))
    others: dict[str, dict[str, str]] = {}
    made = Api(server, world, others, 1)
    with Wire(server) as wire:
        made.must(wire, "POST", "/users", {"name": "guest"})
        made.must(wire, "POST", "/orgs/acme/teams", {"name": "spare"})
        made.must(wire, "PATCH", f"/repositories/{PRIVATE}", {"description": SECRETIVE})
        made.must(wire, "PATCH", f"/repositories/{PUBLIC}", {"description": "a boat of the navy"})
        assert made.must(wire, "POST", "/invitations", {"note": "kept"})["invitation"]["id"] == made.invitation
        for role in ("owner", "stranger"):
            token, session = (
                made.must(wire, "GET", f"/account/{what}", role=role)["items"][0]["id"]
                for what in ("tokens", "sessions")
            )
            others[role] = {"token": str(token), "session": str(session)}
    yield made
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_every_operation_of_the_document_has_a_row(api: Api) -> None:
    with Wire(api.server) as wire:
        paths = api.ask(wire, "GET", "/openapi.json").json["paths"]
    operations = {
        f"{method.upper()} {path.removeprefix(PREFIX)}"
        for path, methods in paths.items()
        for method in methods
        if method in ("get", "put", "post", "patch", "delete", "head", "options")
    }

    assert operations == {" ".join(key.split()[:2]) for key in ROWS}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_it_may_with_each_scope(api: Api, role: str, scope: str) -> None:
    with Wire(api.server) as wire:
        by_repository = {
            where: api.run(wire, role, scope, where, all_of_it=where == PUBLIC) for where in (PUBLIC, PRIVATE)
        }

    for where, found in by_repository.items():
        assert found == {key: expected(ROWS[key], role, scope, where) for key in found}


PLACES = {"to be inside", "to manage", "to inspect", "to read it", "to inspect it", "to configure it", "to remove it"}


def filled(row: Row, where: str) -> tuple[str, Any]:
    """Path and body of a row that is about ``where``, or somebody else's."""
    body = row.body
    values = {"repo": where, "gone": where, "token": "1", "session": "1", "id": "1", "own": "guests"}
    if isinstance(body, tuple):
        _, values["victim"], *rest = body
        body = rest[0] if rest else None
    return row.path.format(**values), body


def said(answer: Answer, *names: str) -> tuple[int, str, dict[str, str]]:
    """What an answer says, with these names taken out."""
    text, lasting = answer.body.decode(), {k: v for k, v in answer.lasting.items() if k != "content-length"}
    for name in names:
        text = text.replace(name, "NAME")
    return answer.status, text, lasting


@pytest.mark.parametrize("role", ["anonymous", "stranger", "administrator"])
def test_other_methods_do_nothing_for_anybody(api: Api, role: str) -> None:
    headers = {} if role == "anonymous" else api.world.basic(role, "admin")
    known: dict[str, set[str]] = {}
    for key in ROWS:
        known.setdefault(key.split()[1], set()).add(key.split()[0])
    with Wire(api.server) as wire:
        for key, row in ROWS.items():
            path, _ = filled(row, PUBLIC)
            for method in {"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - known[key.split()[1]]:
                answer = api.ask(wire, method, path, headers, {})
                assert answer.status == 405, (method, path)
                assert known[key.split()[1]] <= set((answer["allow"] or "").split(", ")), (method, path)


# To a member the organisation is not hidden, only its private repository.
@pytest.mark.parametrize(
    ("role", "key"),
    [
        (role, key)
        for key, row in ROWS.items()
        for role in ("stranger", "anonymous", "member")
        if row.takes in PLACES and (role != "member" or row.takes.endswith(" it"))
    ],
)
def test_what_is_hidden_answers_as_what_is_not_there(api: Api, role: str, key: str) -> None:
    row = ROWS[key]
    about_repository = row.takes.endswith(" it")
    headers = {} if role == "anonymous" else api.world.basic(role, "admin")
    path, body = filled(row, PRIVATE)
    name, absent = (PRIVATE, "acme/never-was") if about_repository else ("acme", "nowhere")
    with Wire(api.server) as wire:
        method = key.partition(" ")[0]
        there = api.ask(wire, method, path, headers, body)
        if isinstance(body, dict) and "namespace" in body:
            body = body | {"namespace": absent}
        not_there = api.ask(wire, method, path.replace(name, absent), headers, body)

    assert there.status == (401 if role == "anonymous" else 404)
    assert said(there, name) == said(not_there, absent)


def test_who_does_not_say_who_they_are_reads_what_is_public_and_is_asked_for_a_login_elsewhere(api: Api) -> None:
    found: dict[tuple[str, str], int] = {}
    with Wire(api.server) as wire:
        for where in (PUBLIC, PRIVATE):
            for key, row in ROWS.items():
                path, body = filled(row, where)
                answer = api.ask(wire, key.partition(" ")[0], path, {}, body)
                found[where, key] = answer.status
                assert answer.status == 200 or answer["www-authenticate"] == 'Basic realm="dockyard"'

    open_to_all = {key for key, row in ROWS.items() if row.takes == "nothing"}
    assert found == {
        (where, key): 200 if key in open_to_all or (key, where) == ("GET /repositories/{repo}", PUBLIC) else 401
        for where in (PUBLIC, PRIVATE)
        for key in ROWS
    }


@pytest.mark.parametrize("role", [*ROLES, "anonymous"])
def test_lists_search_and_counts_have_what_each_may_read(api: Api, role: str) -> None:
    headers = {} if role == "anonymous" else api.world.basic(role, "read")
    with Wire(api.server) as wire:

        def names(path: str) -> set[str]:
            answer = api.ask(wire, "GET", path, headers)
            assert answer.status == 200, answer.body
            assert PRIVATE in readable or SECRETIVE not in answer.body.decode()
            return {entry["name"] for entry in answer.json["items"]} & {PUBLIC, PRIVATE}

        readable = {name for name in (PUBLIC, PRIVATE) if rights(role, name) >= Right.READ}
        found = {
            path: names(path)
            for path in (
                "/repositories?q=acme/p&namespace=acme",
                "/repositories?n=2&after=acme/pri",
                "/repositories?n=1&after=acme/prit",
                "/search?q=navy",
                "/search?q=submarine",
                "/search?q=acme/priv",
                "/search?q=ACME/p",
            )
        }

    assert found == {
        "/repositories?q=acme/p&namespace=acme": readable,
        "/repositories?n=2&after=acme/pri": readable,
        "/repositories?n=1&after=acme/prit": readable & {PRIVATE} or {PUBLIC},
        "/search?q=navy": readable,
        "/search?q=submarine": readable & {PRIVATE},
        "/search?q=acme/priv": readable & {PRIVATE},
        "/search?q=ACME/p": readable,
    }


@pytest.mark.parametrize("role", ["member", "team-read", "owner", "administrator"])
def test_teams_show_and_count_those_of_their_repositories_that_one_may_read(api: Api, role: str) -> None:
    reads = sorted(name for name in (PUBLIC, PRIVATE) if rights(role, name) >= Right.READ)
    with Wire(api.server) as wire:
        headers = api.world.basic(role, "read")
        # Another team than that of those whose own repositories come and go here.
        name = "/orgs/acme/teams/writeers"
        counted = api.ask(wire, "GET", name, headers).json["repositories"]
        listed = [entry["repository"] for entry in api.ask(wire, "GET", f"{name}/repositories", headers).json["items"]]
        in_all = api.ask(wire, "GET", "/orgs/acme/teams", headers).json["items"]

    assert [entry for entry in listed if "/gone-" not in entry] == reads
    assert counted == len(listed)
    assert {entry["name"]: entry["repositories"] for entry in in_all}["writeers"] == counted


@pytest.mark.parametrize("role", ["stranger", "member", "team-admin", "collaborator-admin", "robot-admin"])
def test_the_audit_log_has_what_one_did_and_nothing_of_others(api: Api, role: str) -> None:
    with Wire(api.server) as wire:
        headers, own = api.world.basic(role, "read"), api.world.names[role]
        entries = api.ask(wire, "GET", "/audit?n=100", headers).json["items"]
        exported = api.ask(wire, "GET", "/audit/export", headers).body.decode()
        of_grants = api.ask(wire, "GET", "/audit?action=grant.set&n=100", headers).json["items"]

    lines = [json.loads(line) for line in exported.splitlines()]
    for entry in [*entries, *lines, *of_grants]:
        assert entry["actor"] == own or entry["target"] == own, entry


@pytest.mark.parametrize("role", ["stranger", "member", "collaborator-admin", "robot-admin"])
def test_own_lists_hold_nothing_of_others(api: Api, role: str) -> None:
    with Wire(api.server) as wire:
        headers = api.world.basic(role, "read")

        def items(path: str) -> list[Any]:
            answer = api.ask(wire, "GET", path, headers)
            return answer.json["items"] if answer.status == 200 else []

        organisations = {entry["name"] for entry in items("/orgs")}
        tokens = {str(entry["id"]) for entry in items("/account/tokens")}
        agents = {entry["agent"] for entry in items("/account/sessions")}
        invitations = items("/invitations")
        profile = api.ask(wire, "GET", "/accounts/the-owner", headers).json

    assert {name for name in organisations if not name.startswith("o-")} == ({"acme"} if role == "member" else set())
    assert all(name.startswith(f"o-{role}-") for name in organisations - {"acme"})
    assert not tokens & {own["token"] for own in api.others.values() if role != "stranger"}
    assert agents <= {f"browser of {api.world.names[role]}"}
    assert invitations == []
    assert set(profile) == {"name", "kind", "full_name", "created"}


@pytest.mark.parametrize("role", ["stranger", "member", "robot-read", "anonymous"])
def test_who_may_not_make_a_repository_does_not_hear_whether_there_is_one(api: Api, role: str) -> None:
    headers = {} if role == "anonymous" else api.world.basic(role, "admin")
    with Wire(api.server) as wire:
        there, not_there = (
            api.ask(wire, "POST", "/repositories", headers, {"name": name}) for name in (PRIVATE, "acme/never-was")
        )

    assert there.status == (401 if role == "anonymous" else 403)
    assert said(there, PRIVATE) == said(not_there, "acme/never-was")


def test_whose_organisation_it_is_hears_nothing_of_others_repositories_through_it(api: Api) -> None:
    headers = api.world.basic("stranger", "admin")
    with Wire(api.server) as wire:
        for path, body in (("/orgs", {"name": "strangers"}), ("/orgs/strangers/teams", {"name": "crew"})):
            assert api.ask(wire, "POST", path, headers, body).status == 201
        answers = {
            name: [
                api.ask(wire, "PUT", f"/orgs/strangers/teams/crew/repositories/{name}", headers, {"right": "read"}),
                api.ask(wire, "DELETE", f"/orgs/strangers/teams/crew/repositories/{name}", headers),
                api.ask(
                    wire,
                    "POST",
                    "/robots",
                    headers,
                    {"namespace": "strangers", "name": "spy", "grants": [{"repository": name, "right": "read"}]},
                ),
                api.ask(wire, "PUT", "/orgs/strangers/teams/crew/members/acme", headers),
            ]
            for name in (PRIVATE, "acme/never-was")
        }

    hidden, absent = ([said(answer, name) for answer in found] for name, found in answers.items())
    assert [status for status, *_ in hidden] == [400, 404, 400, 404]
    assert hidden == absent
