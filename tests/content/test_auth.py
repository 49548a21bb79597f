"""Who asks: tokens, passwords and nobody, against real token services that behave well, oddly and badly."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from content.fake_registry import FakeRegistry, error, serving

from dockyard.content.credentials import FixedLogin, Login
from dockyard.content.http import RegistryClient
from dockyard.errors import Denied, Unauthenticated, Unavailable

Make = Callable[..., Any]
ADA = FixedLogin(Login("ada", "s3cret"))


@dataclass
class TokenService:
    """Gives a new token each time; what it gave and was sent is kept."""

    url: str = ""
    answer: dict[str, object] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    oauth: int = 200
    refusal: str = "wrong"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        values = await request.post() if request.method == "POST" else request.query
        fields = {key: [str(value) for value in values.getall(key)] for key in values}
        self.asked.append((request.method, fields, request.headers.get("Authorization", "")))
        if request.method == "POST" and self.oauth != 200:
            return web.Response(status=self.oauth)
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        if given and base64.b64decode(given) not in {b"ada:s3cret", b"ada:refresh"}:
            return error(401, "UNAUTHORIZED", self.refusal)
        token = f"token-{len(self.asked)}"
        self.tokens.add(token)
        return web.json_response({"token": token} | self.answer)


@asynccontextmanager
async def guarded(registry: FakeRegistry, *, service: str = "hub") -> AsyncIterator[TokenService]:
    """Let the registry ask for tokens of a service of its own."""
    tokens = TokenService()

    async def guard(request: web.Request) -> web.StreamResponse | None:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") in tokens.tokens:
            return None
        parts = request.path.split("/")
        scope = f',scope="repository:{"/".join(parts[2:-2])}:pull"' if len(parts) > 4 else ""
        challenge = f'BEARER Realm="{tokens.url}/token?kept=1",service="{service}"{scope}'
        return error(401, "UNAUTHORIZED", "authentication required", **{"WWW-Authenticate": challenge})

    async with serving(tokens.handle) as tokens.url:
        registry.faults.append(guard)
        yield tokens


async def test_an_anonymous_pull_asks_for_a_token_without_credentials(registry: FakeRegistry, client_of: Make) -> None:
    digest = registry.put_blob(b"content")
    async with guarded(registry) as tokens:
        client = await client_of(registry.host)
        found = await client.repository("team/app").has(_blob(digest, 7))

    method, fields, authorization = tokens.asked[0]
    assert found
    assert (method, authorization, len(tokens.asked)) == ("GET", "", 1)
    assert fields["service"] == ["hub"]
    assert fields["scope"] == ["repository:team/app:pull,push"]
    assert fields["kept"] == ["1"]


async def test_a_login_goes_to_the_token_service_and_only_its_token_to_the_registry(
    registry: FakeRegistry, client_of: Make
) -> None:
    async with guarded(registry) as tokens:
        client = await client_of(registry.host, credentials=ADA)
        await client.ping()

    assert base64.b64decode(tokens.asked[0][2].removeprefix("Basic ")) == b"ada:s3cret"
    assert tokens.asked[0][1]["account"] == ["ada"]
    assert not [seen for seen in registry.seen if "Basic" in seen.headers.get("Authorization", "")]


async def test_one_token_serves_many_requests_of_one_scope_at_once(registry: FakeRegistry, client_of: Make) -> None:
    digest = registry.put_blob(b"content")
    async with guarded(registry) as tokens:
        remote = (await client_of(registry.host)).repository("team/app")
        await asyncio.gather(*(remote.has(_blob(digest, 7)) for _ in range(10)))

    assert len(tokens.asked) == 1


async def test_a_token_that_ran_out_is_renewed_in_the_middle(registry: FakeRegistry, client_of: Make) -> None:
    digest = registry.put_blob(b"content")
    async with guarded(registry) as tokens:
        remote = (await client_of(registry.host)).repository("team/app")
        await remote.has(_blob(digest, 7))
        tokens.tokens.clear()
        found = await remote.has(_blob(digest, 7))

    assert found
    assert len(tokens.asked) == 2


async def test_a_token_is_not_used_up_to_its_last_second(registry: FakeRegistry, client_of: Make) -> None:
    digest = registry.put_blob(b"content")
    async with guarded(registry) as tokens:
        client = await client_of(registry.host)
        now = 1000.0
        client.auth.clock = lambda: now
        remote = client.repository("team/app")
        await remote.has(_blob(digest, 7))
        now += 54
        await remote.has(_blob(digest, 7))
        before = len(tokens.asked)
        now += 2
        await remote.has(_blob(digest, 7))

    assert (before, len(tokens.asked)) == (1, 2)


async def test_access_token_is_another_name_for_the_token(registry: FakeRegistry, client_of: Make) -> None:
    async with guarded(registry) as tokens:
        tokens.answer = {"token": "", "access_token": "other", "expires_in": 300}
        tokens.tokens.add("other")
        client = await client_of(registry.host)

        await client.ping()


async def test_an_identity_token_is_traded_by_oauth(registry: FakeRegistry, client_of: Make) -> None:
    async with guarded(registry) as tokens:
        client = await client_of(registry.host, credentials=FixedLogin(Login("ada", identity_token="refresh")))
        await client.ping()

    method, fields, authorization = tokens.asked[0]
    assert (method, authorization) == ("POST", "")
    assert fields["grant_type"] == ["refresh_token"]
    assert fields["refresh_token"] == ["refresh"]
    assert fields["service"] == ["hub"]


@pytest.mark.parametrize("status", [404, 405])
async def test_a_service_without_oauth_is_asked_the_old_way(
    registry: FakeRegistry, client_of: Make, status: int
) -> None:
    async with guarded(registry) as tokens:
        tokens.oauth = status
        client = await client_of(registry.host, credentials=FixedLogin(Login("ada", identity_token="refresh")))
        await client.ping()

    assert [method for method, _, _ in tokens.asked] == ["POST", "GET"]


async def test_a_login_is_proved_and_traded_for_an_identity_token(registry: FakeRegistry, client_of: Make) -> None:
    async with guarded(registry) as tokens:
        tokens.answer = {"refresh_token": "refresh"}
        client = await client_of(registry.host, credentials=ADA)
        traded = await client.login()

    assert traded == Login("ada", identity_token="refresh")
    assert tokens.asked[0][1]["offline_token"] == ["true"]


async def test_wrong_credentials_are_said_and_never_become_an_anonymous_token(
    registry: FakeRegistry, client_of: Make
) -> None:
    async with guarded(registry) as tokens:
        client = await client_of(registry.host, credentials=FixedLogin(Login("ada", "wrong")))

        with pytest.raises(Unauthenticated, match="unauthorized: incorrect username or password"):
            await client.login()
        assert len(tokens.asked) == 1


async def test_a_service_that_wants_a_token_in_place_of_the_password_is_quoted(
    registry: FakeRegistry, client_of: Make
) -> None:
    async with guarded(registry) as tokens:
        tokens.refusal = "two-factor authentication is on: use a personal access token"
        client = await client_of(registry.host, credentials=FixedLogin(Login("ada", "wrong")))

        with pytest.raises(Unauthenticated) as refused:
            await client.login()
        assert refused.value.message == f"{registry.host}: unauthorized: {tokens.refusal}"


async def test_a_right_that_is_missing_is_dockers_denied(registry: FakeRegistry, client_of: Make) -> None:
    async with guarded(registry) as tokens:
        client = await client_of(registry.host)
        await client.ping()

        async def insufficient(request: web.Request) -> web.StreamResponse:
            challenge = f'Bearer realm="{tokens.url}/token",scope="repository:a:pull,push",error="insufficient_scope"'
            return error(401, "DENIED", "requested access to the resource is denied", **{"WWW-Authenticate": challenge})

        registry.faults.insert(0, insufficient)
        with pytest.raises(Denied, match="denied: requested access to the resource is denied"):
            await client.repository("a").has(_blob("sha256:" + "0" * 64, 1))
        assert len(tokens.asked) <= 3


async def test_a_scope_that_the_registry_asks_for_is_asked_of_the_service(
    registry: FakeRegistry, client_of: Make
) -> None:
    digest = registry.put_blob(b"content")
    async with guarded(registry) as tokens:

        async def wants_more(request: web.Request) -> web.StreamResponse | None:
            if "repository:plus:pull" in (tokens.asked[-1][1].get("scope", []) if tokens.asked else []):
                return None
            challenge = f'Bearer realm="{tokens.url}/token",service="hub",scope="repository:plus:pull"'
            return error(401, "UNAUTHORIZED", "more", **{"WWW-Authenticate": challenge})

        registry.faults.append(wants_more)
        client = await client_of(registry.host)
        found = await client.repository("team/app").has(_blob(digest, 7))

    assert found


async def test_basic_is_answered_with_the_password(registry: FakeRegistry, client_of: Make) -> None:
    async def guard(request: web.Request) -> web.StreamResponse | None:
        expected = "Basic " + base64.b64encode(b"ada:s3cret").decode()
        if request.headers.get("Authorization") == expected:
            return None
        return error(401, "UNAUTHORIZED", "authentication required", **{"WWW-Authenticate": 'basic realm="x"'})

    registry.faults.append(guard)
    await (await client_of(registry.host, credentials=ADA)).ping()

    with pytest.raises(Unauthenticated, match="unauthorized: authentication required"):
        await (await client_of(registry.host)).ping()
    with pytest.raises(Unauthenticated, match="incorrect username or password"):
        await (await client_of(registry.host, credentials=FixedLogin(Login("ada", "no")))).login()


async def test_who_has_no_login_does_not_ask_twice_for_the_same(registry: FakeRegistry, client_of: Make) -> None:
    async def guard(request: web.Request) -> web.StreamResponse:
        return error(401, "UNAUTHORIZED", "authentication required", **{"WWW-Authenticate": 'Basic realm="x"'})

    registry.faults.append(guard)
    with pytest.raises(Unauthenticated):
        await (await client_of(registry.host)).repository("a").manifest("v1")

    assert len(registry.asked("GET", "/manifests/")) == 1


@pytest.mark.parametrize("answer", [{"token": 3}, {"token": None}, {"token": "a\nb: c"}, {"token": "ü"}, {"token": ""}])
async def test_a_service_that_gives_no_token_is_named(
    registry: FakeRegistry, client_of: Make, answer: dict[str, object]
) -> None:
    async with guarded(registry) as tokens:
        tokens.answer = answer
        client = await client_of(registry.host)

        with pytest.raises(Unavailable, match="token service"):
            await client.ping()


async def test_a_hostile_realm_on_another_host_gets_nothing(registry: FakeRegistry, client_of: Make) -> None:
    reached: list[web.Request] = []

    async def evil(request: web.Request) -> web.StreamResponse:
        reached.append(request)
        return web.json_response({"token": "x"})

    async with serving(evil, host="127.0.0.2") as url:

        async def guard(request: web.Request) -> web.StreamResponse:
            return error(401, "UNAUTHORIZED", "x", **{"WWW-Authenticate": f'Bearer realm="{url}/token"'})

        registry.faults.append(guard)
        client = await client_of(registry.host, credentials=ADA)

        with pytest.raises(Unauthenticated, match="less safe than the registry"):
            await client.ping()
        assert not reached


@pytest.mark.parametrize("realm", ["", "token", "file:///etc/passwd", "http://[", "gopher://127.0.0.1/"])
async def test_a_realm_that_is_no_address_is_an_error(registry: FakeRegistry, client_of: Make, realm: str) -> None:
    async def guard(request: web.Request) -> web.StreamResponse:
        return error(401, "UNAUTHORIZED", "x", **{"WWW-Authenticate": f'Bearer realm="{realm}"'})

    registry.faults.append(guard)
    client = await client_of(registry.host, credentials=ADA)

    with pytest.raises(Unauthenticated):
        await client.ping()


async def test_secrets_are_in_no_message(registry: FakeRegistry, client_of: Make) -> None:
    async with guarded(registry):
        client: RegistryClient = await client_of(registry.host, credentials=FixedLogin(Login("ada", "c4nary")))
        with pytest.raises(Unauthenticated) as caught:
            await client.ping()

    assert "c4nary" not in f"{caught.value!r} {caught.value.hint} {caught.value.detail}"


def _blob(digest: str, size: int) -> Any:
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest

    return Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", Digest.parse(digest), size)
