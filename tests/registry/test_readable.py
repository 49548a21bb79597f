"""What lists show is what the one decision says, for everybody in any world."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select

from dockyard.oci.reference import RepositoryName
from dockyard.registry import account_schema, schema
from dockyard.registry.access import (
    ALL_SCOPES,
    ANONYMOUS,
    EVERYBODY,
    ROBOT_SCOPES,
    Action,
    Actor,
    Kind,
    Scope,
    allowed,
    right_at,
)
from dockyard.registry.catalog import access, listing, removal, repositories
from dockyard.registry.database import Database
from dockyard.registry.migrate import migrate
from dockyard.registry.profiles import right_name

ADA, BOB, EVE, ACME, CORP, ACME_BOT, ADA_BOT = range(1, 8)
KINDS = {ADA: "user", BOB: "user", EVE: "user", ACME: "organisation", CORP: "organisation"}
ACCOUNTS = {ADA: "ada", BOB: "bob", EVE: "eve", ACME: "acme", CORP: "corp", ACME_BOT: "acme+ci", ADA_BOT: "ada+ci"}
SPACES = {"ada": ADA, "bob": BOB, "acme": ACME, "corp": CORP, "nobody": None}
NAMES = ["app", "ada/app", "ada/app/part", "bob/app", "acme/app", "acme/secret", "corp/app", "nobody/app", "ownerless"]
REPOSITORIES = list(enumerate(NAMES, 1))
TEAMS = {1: ACME, 2: ACME, 3: CORP}
PEOPLE = [ADA, BOB, EVE]


def some(*parts: Any) -> st.SearchStrategy[dict[tuple[Any, ...], Any]]:
    """Some of the combinations of all but the last of ``parts``, each with a value of the last."""
    *keys, values = (st.sampled_from(list(part)) for part in parts)
    return st.dictionaries(st.tuples(*keys), values, max_size=8)


@dataclass
class World:
    """Keys are those of the tables, values their rest."""

    repositories: dict[tuple[int], str]
    members: dict[tuple[int, int], bool]
    in_teams: dict[tuple[int, int], bool]
    by_team: dict[tuple[int, int], int]
    by_name: dict[tuple[int, int], int]


ids = range(1, len(NAMES) + 1)
worlds = st.builds(
    World,
    st.fixed_dictionaries({(id,): st.sampled_from(["private", "public", "removed"]) for id in ids}),
    some([ACME, CORP], PEOPLE, [False, True]),
    some(TEAMS, PEOPLE, [True]),
    some(ids, TEAMS, [1, 2, 3]),
    some(ids, [*PEOPLE, ACME_BOT, ADA_BOT], [1, 2, 3]),
)
scopes = st.sampled_from([ALL_SCOPES, frozenset({Scope.READ}), frozenset()])
grants = st.none() | st.frozensets(st.tuples(st.sampled_from(["pull", "push"]), st.sampled_from(NAMES)), max_size=6)
users = st.builds(
    lambda id, administrator, scopes, granted: Actor(id, ACCOUNTS[id], Kind.USER, administrator, scopes, granted),
    st.sampled_from(PEOPLE),
    st.sampled_from([False, False, False, True]),
    scopes,
    grants,
)
robots = st.builds(
    lambda id, granted: Actor(id, ACCOUNTS[id], Kind.ROBOT, scopes=ROBOT_SCOPES, granted=granted),
    st.sampled_from([ACME_BOT, ADA_BOT]),
    grants,
)
actors = users | robots | st.sampled_from([ANONYMOUS, EVERYBODY, Actor(None, "dockyard", Kind.USER, True, ALL_SCOPES)])


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Iterator[Database]:
    database = Database.at(Path(tmp_path_factory.mktemp("readable")) / "hub.db")
    asyncio.run(migrate(database, "test"))
    yield database
    database.close()


def fill(connection: Connection, world: World) -> None:
    def add(table: Any, rows: list[dict[str, Any]]) -> None:
        if rows:
            connection.execute(insert(table), rows)

    account = {"created": 1, "full_name": "", "email": "", "default_private": False, "administrator": False}
    account |= {"totp_confirmed": False, "totp_last": 0, "owner": None}
    owners = {ACME_BOT: ACME, ADA_BOT: ADA}
    for id, name in ACCOUNTS.items():
        row = account | {"id": id, "name": name, "kind": KINDS.get(id, "robot"), "owner": owners.get(id)}
        add(account_schema.accounts, [row])
    add(schema.namespaces, [{"name": name, "created": 1, "account": id} for name, id in SPACES.items()])
    spaces = {row.name: row.id for row in connection.execute(select(schema.namespaces))}
    for id, name in REPOSITORIES:
        first, slash, _ = name.partition("/")
        row = {"id": id, "name": name, "namespace": spaces[first] if slash else None, "created": 1, "revision": 1}
        row |= {"private": world.repositories[id,] == "private", "description": ""}
        add(schema.repositories, [row])
    add(
        account_schema.teams,
        [{"id": id, "organisation": at, "name": f"t{id}", "created": 1} for id, at in TEAMS.items()],
    )
    members = [{"organisation": at, "account": who, "owner": owner} for (at, who), owner in world.members.items()]
    add(account_schema.memberships, members)
    add(account_schema.team_members, [{"team": team, "account": who} for team, who in world.in_teams])
    by_team = [{"repository": at, "team": team, "right": right} for (at, team), right in world.by_team.items()]
    add(account_schema.team_grants, by_team)
    by_name = [{"repository": at, "account": who, "right": right} for (at, who), right in world.by_name.items()]
    add(account_schema.account_grants, by_name)
    for (id,), state in world.repositories.items():
        if state == "removed":
            removal.remove(connection, id, 2)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds, asking=st.lists(actors, min_size=1, max_size=6))
def test_a_list_has_those_repositories_that_may_be_pulled(database, world, asking) -> None:
    there = [name for id, name in REPOSITORIES if world.repositories[id,] != "removed"]
    with database.engine.connect() as connection:
        fill(connection, world)
        for actor in asking:
            places = {name: access.place(connection, actor.id, RepositoryName(name)) for name in NAMES}
            expected = sorted(name for name in there if allowed(actor, Action.PULL, places[name]))
            listed = listing.page(connection, actor, after="", limit=100)
            found = connection.scalars(select(schema.repositories.c.name).where(access.readable(actor)))

            assert sorted(found) == expected
            assert repositories.names(connection, actor, after="", limit=100) == expected
            assert [(item.name, item.right) for item in listed] == [
                (name, right_name(right_at(actor, places[name]))) for name in expected
            ]
            assert {name for name in NAMES if places[name].exists} == set(there)
        connection.rollback()
