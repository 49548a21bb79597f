"""The decision about access: a table written by hand, and what holds for every case."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.errors import Denied, NameUnknown, Unauthenticated
from dockyard.registry.access import (
    ALL_SCOPES,
    ANONYMOUS,
    EVERYBODY,
    HUB,
    ROBOT_SCOPES,
    Action,
    Actor,
    Kind,
    Place,
    Right,
    Scope,
    allowed,
    closed,
    refusal,
    require,
    right_at,
)

READ, WRITE, DELETE, ADMIN = Scope.READ, Scope.WRITE, Scope.DELETE, Scope.ADMIN

USER = Actor(7, "ada", Kind.USER, scopes=ALL_SCOPES)
ROBOT = Actor(8, "team+ci", Kind.ROBOT, scopes=ROBOT_SCOPES)
ADMINISTRATOR = replace(USER, administrator=True)

PRIVATE = Place("team/app", exists=True)
PUBLIC = replace(PRIVATE, private=False)
ABSENT = Place("team/app")
OFFICIAL = Place("tweet-app", exists=True, private=False, official=True)

AT_REPOSITORIES = (
    Action.PULL, Action.PUSH, Action.DELETE, Action.CREATE, Action.REMOVE, Action.CONFIGURE, Action.INSPECT
)  # fmt: skip

# What each may do with all scopes: pull, push, delete, create, remove, configure, inspect.
TABLE = {
    "owner": (USER, {"owned": True}, "xxxxxxx", "xxxxxxx"),
    "administrator": (ADMINISTRATOR, {}, "xxxxxxx", "xxxxxxx"),
    "team or collaborator, admin": (USER, {"right": Right.ADMIN}, "xxxxxxx", "xxxxxxx"),
    "team or collaborator, write": (USER, {"right": Right.WRITE}, "xx.....", "xx....."),
    "team or collaborator, read": (USER, {"right": Right.READ}, "x......", "x......"),
    "robot, admin": (ROBOT, {"right": Right.ADMIN}, "xxxxx.x", "xxxxx.x"),
    "robot, write": (ROBOT, {"right": Right.WRITE}, "xx.....", "xx....."),
    "robot, read": (ROBOT, {"right": Right.READ}, "x......", "x......"),
    "robot of another repository": (ROBOT, {}, "x......", "......."),
    "stranger": (USER, {}, "x......", "......."),
    "nobody": (ANONYMOUS, {}, "x......", "......."),
    "everybody on an open hub": (EVERYBODY, {}, "xxxxxxx", "xxxxxxx"),
}
"""Who → actor, what the place gives, and what is allowed where it is public and where it is private."""

NEEDS = dict(zip(AT_REPOSITORIES, (READ, WRITE, DELETE, WRITE, DELETE, ADMIN, READ), strict=True))
"""The scope that a credential needs for each."""

scopes = st.frozensets(st.sampled_from(list(Scope))).map(closed)
places = st.builds(
    Place,
    name=st.sampled_from(["team/app", "tweet-app"]),
    exists=st.booleans(),
    private=st.booleans(),
    owned=st.booleans(),
    right=st.sampled_from(list(Right)),
    official=st.booleans(),
)
actors = st.builds(
    Actor,
    id=st.integers(1, 9),
    name=st.just("ada"),
    kind=st.sampled_from([Kind.USER, Kind.ROBOT]),
    administrator=st.booleans(),
    scopes=scopes,
    granted=st.none() | st.frozensets(st.tuples(st.sampled_from(["pull", "push", "delete"]), st.just("team/app"))),
) | st.just(ANONYMOUS)
actions = st.sampled_from(list(Action))


@pytest.mark.parametrize("who", TABLE)
@pytest.mark.parametrize("public", [True, False], ids=["public", "private"])
@pytest.mark.parametrize("given_scopes", [closed({scope}) for scope in Scope], ids=[scope.value for scope in Scope])
def test_each_may_do_what_the_table_says_and_nothing_else(
    who: str, public: bool, given_scopes: frozenset[Scope]
) -> None:
    actor, gives, in_public, in_private = TABLE[who]
    if actor.kind in (Kind.USER, Kind.ROBOT):
        actor = replace(actor, scopes=actor.scopes & given_scopes)
    place = replace(PUBLIC if public else PRIVATE, **gives)
    marks = in_public if public else in_private
    expected = {
        action
        for action, mark in zip(AT_REPOSITORIES, marks, strict=True)
        if mark == "x" and (NEEDS[action] in actor.scopes)
    }

    assert {action for action in AT_REPOSITORIES if allowed(actor, action, place)} == expected


@pytest.mark.parametrize(
    ("given_scopes", "held"),
    [
        (set(), set()),
        ({READ}, {READ}),
        ({WRITE}, {READ, WRITE}),
        ({DELETE}, {READ, DELETE}),
        ({WRITE, DELETE}, {READ, WRITE, DELETE}),
        ({ADMIN}, {READ, WRITE, DELETE, ADMIN}),
    ],
)
def test_scopes_hold_those_that_are_useless_without(given_scopes: set[Scope], held: set[Scope]) -> None:
    assert closed(given_scopes) == held


def test_a_name_of_one_part_is_read_by_all_and_written_by_administrators() -> None:
    assert allowed(ANONYMOUS, Action.PULL, replace(OFFICIAL, private=True))
    assert not allowed(USER, Action.PUSH, OFFICIAL)
    assert allowed(ADMINISTRATOR, Action.PUSH, OFFICIAL)


@pytest.mark.parametrize(
    ("action", "anonymous", "user", "robot", "administrator"),
    [
        (Action.CATALOG, False, True, True, True),
        (Action.FOUND, False, True, False, True),
        (Action.OVERSEE, False, False, False, True),
        (Action.ADMINISTER, False, False, False, True),
    ],
)
def test_of_the_hub_as_a_whole_each_may(
    action: Action, anonymous: bool, user: bool, robot: bool, administrator: bool
) -> None:
    found = [allowed(actor, action, HUB) for actor in (ANONYMOUS, USER, ROBOT, ADMINISTRATOR)]

    assert found == [anonymous, user, robot, administrator]


@given(actors, actions, places)
def test_what_is_hidden_is_refused_as_what_is_not_there(actor: Actor, action: Action, place: Place) -> None:
    hidden = replace(place, exists=True, private=True, owned=False, right=Right.NONE, official=False)
    absent = replace(hidden, exists=False)
    if actor.administrator:
        return
    there, not_there = refusal(actor, action, hidden), refusal(actor, action, absent)

    assert not allowed(actor, action, hidden)
    assert not allowed(actor, action, absent)
    assert (type(there), there.message, there.hint, there.detail) == (
        type(not_there), not_there.message, not_there.hint, not_there.detail
    )  # fmt: skip


@given(actors, actions, places, scopes)
def test_fewer_scopes_never_allow_more(actor: Actor, action: Action, place: Place, fewer: frozenset[Scope]) -> None:
    less = replace(actor, scopes=actor.scopes & fewer)

    assert allowed(actor, action, place) or not allowed(less, action, place)


@given(actors, actions, places)
def test_a_token_never_allows_what_its_actor_may_not(actor: Actor, action: Action, place: Place) -> None:
    assert allowed(replace(actor, granted=None), action, place) or not allowed(actor, action, place)


@given(actors, actions, places)
def test_a_higher_right_never_allows_less(actor: Actor, action: Action, place: Place) -> None:
    higher = replace(place, right=Right(min(3, place.right + 1)))

    assert right_at(actor, higher) >= right_at(actor, place)
    assert allowed(actor, action, higher) or not allowed(actor, action, place)


def test_who_has_the_right_hears_which_scope_the_token_lacks() -> None:
    reader = replace(USER, scopes=closed({READ}))
    own, others = refusal(reader, Action.PUSH, replace(PRIVATE, owned=True)), refusal(reader, Action.PUSH, PRIVATE)

    assert isinstance(own, Denied)
    assert own.hint == "The token lacks the scope write."
    assert isinstance(others, Denied)
    assert others.hint is None


@pytest.mark.parametrize(
    ("actor", "action", "place", "error"),
    [
        (ANONYMOUS, Action.PULL, PRIVATE, Unauthenticated),
        (ANONYMOUS, Action.PULL, ABSENT, Unauthenticated),
        (ANONYMOUS, Action.PUSH, PUBLIC, Unauthenticated),
        (USER, Action.PULL, PRIVATE, NameUnknown),
        (USER, Action.PULL, ABSENT, NameUnknown),
        (USER, Action.PUSH, PUBLIC, Denied),
        (USER, Action.PUSH, PRIVATE, Denied),
        (USER, Action.DELETE, ABSENT, Denied),
        (USER, Action.CREATE, ABSENT, Denied),
        (USER, Action.CONFIGURE, PRIVATE, NameUnknown),
        (USER, Action.CONFIGURE, PUBLIC, Denied),
        (USER, Action.ADMINISTER, HUB, Denied),
    ],
)
def test_the_refusal_is_of_the_kind_that_the_door_turns_into_its_answer(
    actor: Actor, action: Action, place: Place, error: type[Exception]
) -> None:
    with pytest.raises(error):
        require(actor, action, place)
