"""Tickets that nobody of ours gave: whatever stands in their header, they are refused without looking at it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey
from servers import Hub
from web.tickets import basic, bearer, key_of, proof_of, signing, ticket
from web.tickets import claims as claims_of
from web.wire import Wire

from dockyard.registry.access import ANONYMOUS, Actor, Kind


@pytest.fixture
def wire(accounts_hub: Hub) -> Iterator[Wire]:
    with Wire(accounts_hub) as opened:
        yield opened


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def claims(hub: Hub, **more: object) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": hub.host, "aud": hub.host, "iat": now, "nbf": now, "exp": now + 300, "sub": "1"}
    return said | {"pwd": proof_of(hub, 1), "may": {"library/x": [7, 7]}} | more


def signed(key: bytes, header: dict[str, Any], said: dict[str, Any]) -> str:
    """An HS256 signature under any header."""
    first = f"{encoded(json.dumps(header, separators=(',', ':')).encode())}.{encoded(json.dumps(said).encode())}"
    return f"{first}.{encoded(hmac.new(key, first.encode(), hashlib.sha256).digest())}"


def accepted(wire: Wire, text: str) -> bool:
    answer = wire("GET", "/v2/", None, bearer(text))
    assert answer.status in (200, 401)
    if answer.status == 401:
        assert answer.code == "UNAUTHORIZED"
        assert [value.split()[0] for value in answer.headers.get_all("www-authenticate") or []] == ["Bearer"]
    return answer.status == 200


OURS = {"alg": "HS256", "typ": "JWT"}
HEADERS: list[dict[str, Any]] = [
    {"alg": "HS256"},
    {"typ": "JWT", "alg": "HS256"},
    {"typ": "jwt", "alg": "HS256"},
    {"typ": "at+jwt", "alg": "HS256"},
    {"typ": "JWT", "alg": "hs256"},
    {"typ": "JWT", "alg": "HS384"},
    {"typ": "JWT", "alg": "none"},
    {**OURS, "kid": "../../../../dev/null"},
    {**OURS, "kid": "1"},
    {**OURS, "jku": "https://evil.example/keys"},
    {**OURS, "x5u": "https://evil.example/cert"},
    {**OURS, "x5c": ["MIIB"]},
    {**OURS, "crit": ["exp"]},
    {**OURS, "crit": ["unheard-of"], "unheard-of": True},
    {**OURS, "b64": False, "crit": ["b64"]},
    {**OURS, "zip": "DEF"},
    {**OURS, "cty": "JWT"},
]


def test_what_we_would_have_signed_ourselves_is_taken(accounts_hub: Hub, wire: Wire) -> None:
    assert accepted(wire, signed(key_of(accounts_hub), OURS, claims(accounts_hub)))


@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_another_header_is_refused_though_the_signature_is_right(
    accounts_hub: Hub, wire: Wire, header: dict[str, Any]
) -> None:
    assert not accepted(wire, signed(key_of(accounts_hub), header, claims(accounts_hub)))


@pytest.mark.parametrize("make", [lambda: RSAKey.generate_key(2048), lambda: ECKey.generate_key("P-256")])
def test_a_key_that_comes_with_the_token_opens_nothing(accounts_hub: Hub, wire: Wire, make: Any) -> None:
    key = make()
    algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
    said = json.dumps(claims(accounts_hub)).encode()
    public = key.as_dict(private=False)
    asymmetric = jws.serialize_compact({"alg": algorithm, "typ": "JWT", "jwk": public}, said, key, [algorithm])
    confused = signed(key.as_pem(private=False), OURS, claims(accounts_hub))

    assert not accepted(wire, asymmetric)
    assert not accepted(wire, confused)


def test_a_symmetric_key_that_comes_with_the_token_opens_nothing(accounts_hub: Hub, wire: Wire) -> None:
    own = OctKey.generate_key(256)
    header = {**OURS, "jwk": own.as_dict(private=True)}

    assert not accepted(wire, signed(own.raw_value, header, claims(accounts_hub)))
    assert not accepted(wire, signed(own.raw_value, OURS, claims(accounts_hub)))
    assert not accepted(wire, signed(b"", OURS, claims(accounts_hub)))


def test_a_token_without_a_signature_is_refused(accounts_hub: Hub, wire: Wire) -> None:
    whole = signed(key_of(accounts_hub), OURS, claims(accounts_hub))
    first, second, _ = whole.split(".")
    unsigned = encoded(b'{"alg":"none","typ":"JWT"}')

    for text in (f"{first}.{second}.", f"{first}.{second}", f"{unsigned}.{second}.", f"{unsigned}.{second}", "..", ""):
        assert not accepted(wire, text)


@pytest.mark.parametrize(
    "said",
    [
        {"aud": "another.example"}, {"iss": "another.example"}, {"aud": ["x"]}, {"exp": 1}, {"exp": "never"},
        {"nbf": 4_000_000_000}, {"sub": "ada"}, {"sub": "999999"}, {"sub": "1", "tok": 999999}, {"may": None},
        {"may": {"a/b": 7}}, {"exp": None}, {"sub": None},
    ],
    ids=str,
)  # fmt: skip
def test_claims_that_are_not_ours_are_refused_though_the_signature_is_right(
    accounts_hub: Hub, wire: Wire, said: dict[str, Any]
) -> None:
    assert not accepted(wire, signed(key_of(accounts_hub), OURS, claims(accounts_hub, **said)))


def test_a_ticket_that_is_over_is_refused(accounts_hub: Hub, wire: Wire) -> None:
    assert accepted(wire, signing(accounts_hub, ago=290).issue(ANONYMOUS, [], []).text)
    assert not accepted(wire, signing(accounts_hub, ago=301).issue(ANONYMOUS, [], []).text)


def test_a_ticket_of_another_hub_is_refused(accounts_hub: Hub, start_hub: Any) -> None:
    other = start_hub(auth="accounts", workers=1)
    with Wire(accounts_hub) as here, Wire(other) as there:
        text = ticket(there, headers=basic(other.admin, other.password))["Authorization"].partition(" ")[2]

        assert accepted(there, text)
        assert not accepted(here, text)


def test_a_ticket_for_more_than_its_account_may_gives_no_more(accounts_hub: Hub, wire: Wire) -> None:
    password = accounts_hub.user("forger")
    own = claims_of(ticket(wire, headers=basic("forger", password))["Authorization"])
    pair = ("push", "library/x")
    known = Actor(int(own["sub"]), "forger", Kind.USER, administrator=True, proof=own["pwd"])
    unknown = Actor(2**40, "forger", Kind.USER, administrator=True)

    def push(actor: Actor) -> int:
        text = signing(accounts_hub).issue(actor, [pair], [pair]).text
        return wire("POST", "/v2/library/x/blobs/uploads/", None, bearer(text)).status

    assert [push(actor) for actor in (known, unknown, ANONYMOUS)] == [403, 401, 401]
