"""Tickets: what is read is what was issued, and nothing else is read at all."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.pushing import Clock

from dockyard.errors import Unauthenticated
from dockyard.registry.access import ANONYMOUS, Actor, Kind
from dockyard.registry.hub import Hub
from dockyard.registry.signing import LEEWAY, LIFE, LONGEST, Signing

KEY = b"k" * 32
ADA = Actor(7, "ada", Kind.USER, token=3)

pairs = st.frozensets(
    st.tuples(st.sampled_from(["pull", "push", "delete"]), st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}", fullmatch=True))
    | st.just(("catalog", ""))
)


def signing(clock: Clock, *, key: bytes = KEY, service: str = "hub.example") -> Signing:
    return Signing(key, service, clock)


@given(asked=pairs, granted=pairs)
def test_what_is_read_is_what_was_issued(
    asked: frozenset[tuple[str, str]], granted: frozenset[tuple[str, str]]
) -> None:
    clock = Clock()
    issued = signing(clock).issue(ADA, asked, granted)
    ticket = signing(clock).read(issued.text)

    assert (ticket.account, ticket.token, ticket.expires) == (7, 3, int(clock.now) + LIFE)
    assert (ticket.asked, ticket.granted) == (asked, granted & asked)


def test_nobodys_ticket_is_nobodys() -> None:
    clock = Clock()
    ticket = signing(clock).read(signing(clock).issue(ANONYMOUS, [], []).text)

    assert (ticket.account, ticket.token, ticket.asked, ticket.granted) == (None, None, frozenset(), frozenset())


def test_a_ticket_is_short_however_much_is_asked() -> None:
    clock = Clock()
    asked = [(action, f"organisation/repository-{number}") for number in range(1000) for action in ("pull", "push")]
    issued = signing(clock).issue(ADA, asked, asked)
    ticket = signing(clock).read(issued.text)

    assert len(issued.text) <= LONGEST
    assert ticket.asked == ticket.granted == frozenset(asked[: len(ticket.asked)])
    assert len(ticket.asked) > 2 * 130


def test_a_ticket_of_another_key_service_or_time_is_none_of_ours() -> None:
    clock = Clock()
    later = Clock()
    later.passes(LEEWAY + 1)
    others = [signing(clock, key=b"x" * 32), signing(clock, service="hub.example:443"), signing(later)]

    for other in others:
        with pytest.raises(Unauthenticated):
            signing(clock).read(other.issue(ADA, [], []).text)


def test_no_changed_letter_of_a_ticket_goes_unnoticed() -> None:
    clock = Clock()
    text = signing(clock).issue(ADA, [("pull", "a/b")], []).text
    # The last letter has two bits that mean nothing.
    for place in range(len(text) - 1):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(Unauthenticated):
            signing(clock).read(changed)


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "dyp_" + "a" * 40, "é.é.é", "x" * 100_000])
def test_what_is_no_ticket_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        signing(Clock()).read(text)


async def test_all_processes_share_one_key_that_is_made_once(open_hub) -> None:
    one, other = await open_hub(), await open_hub()
    text = one.signing.issue(ADA, [], []).text
    await one.close()
    again: Hub = await open_hub()

    assert other.signing.read(text) == again.signing.read(text)
    assert other.signing.service == "hub.example"


def test_a_ticket_says_no_more_than_it_has_to() -> None:
    header, claims, _ = (
        signing(Clock()).issue(ADA, [("pull", "a/b"), ("push", "a/b")], [("pull", "a/b")]).text.split(".")
    )
    read = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]

    assert read[0] == {"typ": "JWT", "alg": "HS256"}
    assert read[1] == {
        "iss": "hub.example", "aud": "hub.example", "sub": "7", "tok": 3, "may": {"a/b": [3, 1]},
        "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_000_300,
    }  # fmt: skip
