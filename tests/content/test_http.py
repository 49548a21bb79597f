"""The way to a registry: schemes, certificates, redirects, refusals and networks that fail."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from content.fake_registry import FakeRegistry, cut, error, fake_registry, once, serving

from dockyard.content.credentials import FixedLogin, Login
from dockyard.content.http import MAX_REDIRECTS
from dockyard.content.retry import Retry, Unreachable
from dockyard.errors import Denied, NameUnknown, NotFound, TooMany, Unavailable
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest

Make = Callable[..., Any]
ABSENT = Descriptor("application/octet-stream", Digest.of(b"absent"), 6)


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


async def test_a_registry_on_loopback_is_spoken_to_over_plain_http(registry: FakeRegistry, client_of: Make) -> None:
    client = await client_of(registry.host)
    await client.ping()

    assert client.origin == f"http://{registry.host}"


async def test_a_registry_on_loopback_may_also_have_tls(certificate: Path, client_of: Make) -> None:
    async with fake_registry(tls=server_side(certificate)) as registry:
        client = await client_of(registry.host)
        await client.ping()

        assert client.origin == registry.url


async def test_a_given_authority_is_believed_and_no_other(
    certificate: Path, client_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dockyard.content.trust.is_loopback", lambda _: False)  # as if on another machine
    async with fake_registry(tls=server_side(certificate)) as registry:
        await (await client_of(registry.host, ca_file=certificate)).ping()
        await (await client_of(registry.host, insecure=True)).ping()

        with pytest.raises(Unreachable, match="certificate is not trusted") as caught:
            await (await client_of(registry.host)).ping()
        assert "ca-file" in (caught.value.hint or "")
        assert "insecure-registries" in (caught.value.hint or "")


async def test_plain_http_beyond_loopback_needs_to_be_allowed(
    registry: FakeRegistry, client_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dockyard.content.trust.is_loopback", lambda _: False)
    allowed = await client_of(registry.host, insecure=True)
    await allowed.ping()

    assert allowed.origin == registry.url
    with pytest.raises(Unreachable) as caught:
        await (await client_of(registry.host)).ping()
    assert "insecure-registries" in (caught.value.hint or "")


async def test_a_registry_that_is_down_is_named_at_once(client_of: Make) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        with pytest.raises(Unavailable, match=f"can't reach {host}") as caught:
            await (await client_of(host, retry=Retry(sleep=sleep))).ping()
        assert "running" in (caught.value.hint or "")
        assert not waits


async def test_a_host_that_has_no_address_is_named(client_of: Make) -> None:
    with pytest.raises(Unreachable, match=r"can't reach hub\.invalid: no such host"):
        await (await client_of("hub.invalid")).ping()


async def test_first_contact_is_made_once_by_many_requests(registry: FakeRegistry, client_of: Make) -> None:
    remote = (await client_of(registry.host)).repository("a")
    await asyncio.gather(*(remote.has(ABSENT) for _ in range(8)))

    assert len(registry.asked("GET", "/v2/")) == 1


async def test_a_redirect_to_another_host_carries_no_authorization(registry: FakeRegistry, client_of: Make) -> None:
    content = b"content" * 100
    digest = registry.put_blob(content)
    reached: list[dict[str, str]] = []

    async def storage(request: web.Request) -> web.StreamResponse:
        reached.append(dict(request.headers))
        assert request.rel_url.raw_query_string == "signed=a%2Fb%2Bc"
        return web.Response(body=content)

    async with serving(storage) as url:

        async def fault(request: web.Request) -> web.StreamResponse | None:
            if "Authorization" not in request.headers:
                return error(401, "UNAUTHORIZED", "x", **{"WWW-Authenticate": "Basic"})
            if "/blobs/" in request.path:
                return web.Response(status=307, headers={"Location": f"{url}/bucket?signed=a%2Fb%2Bc"})
            return None

        registry.faults.append(fault)
        remote = (await client_of(registry.host, credentials=FixedLogin(Login("ada", "s3cret")))).repository("a")
        blob = Descriptor("application/octet-stream", Digest.parse(digest), len(content))
        got = b"".join([chunk async for chunk in remote.open(blob)])

    assert got == content
    assert len(reached) == 1
    assert "Authorization" not in reached[0]


async def test_a_redirect_within_the_registry_keeps_the_authorization(registry: FakeRegistry, client_of: Make) -> None:
    digest = registry.put_blob(b"content")

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if "Authorization" not in request.headers:
            return error(401, "UNAUTHORIZED", "x", **{"WWW-Authenticate": "Basic"})
        if request.path.startswith("/v2/a/"):
            return web.Response(status=308, headers={"Location": request.path.replace("/v2/a/", "/v2/b/")})
        return None

    registry.faults.append(fault)
    remote = (await client_of(registry.host, credentials=FixedLogin(Login("ada", "x")))).repository("a")

    assert await remote.has(Descriptor("x", Digest.parse(digest), 7))


async def test_redirects_in_a_circle_end(registry: FakeRegistry, client_of: Make) -> None:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=302, headers={"Location": request.path}) if "/blobs/" in request.path else None

    registry.faults.append(fault)
    client = await client_of(registry.host, retry=Retry(tries=1))

    with pytest.raises(Unavailable, match="redirects"):
        await client.repository("a").has(ABSENT)
    assert len(registry.asked("HEAD")) == MAX_REDIRECTS


async def test_https_is_never_left_for_http(certificate: Path, client_of: Make, registry: FakeRegistry) -> None:
    async with fake_registry(tls=server_side(certificate)) as secure:

        async def fault(request: web.Request) -> web.StreamResponse | None:
            return (
                web.Response(status=307, headers={"Location": f"{registry.url}/x"})
                if "/blobs/" in request.path
                else None
            )

        secure.faults.append(fault)
        client = await client_of(secure.host, retry=Retry(tries=1))

        with pytest.raises(Unavailable, match="less safe"):
            await client.repository("a").has(ABSENT)
        assert not registry.seen


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://", "javascript:x"])
async def test_a_location_that_is_no_http_address_is_refused(
    registry: FakeRegistry, client_of: Make, location: str
) -> None:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=307, headers={"Location": location}) if "/blobs/" in request.path else None

    registry.faults.append(fault)
    client = await client_of(registry.host, retry=Retry(tries=1))

    with pytest.raises(Unavailable):
        await client.repository("a").has(ABSENT)


async def test_a_location_with_the_scheme_a_proxy_hid_stays_on_https(certificate: Path, client_of: Make) -> None:
    async with fake_registry(tls=server_side(certificate)) as registry:
        client = await client_of(registry.host)
        await client.ping()

        assert client.resolve(f"http://{registry.host}/v2/x") == f"https://{registry.host}/v2/x"
        assert client.resolve("http://other.example/v2/x") == "http://other.example/v2/x"
        assert client.resolve("/v2/x?_state=a%2Fb") == f"https://{registry.host}/v2/x?_state=a%2Fb"


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
async def test_what_passes_is_tried_again(registry: FakeRegistry, client_of: Make, status: int) -> None:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=status) if request.method == "HEAD" else None

    registry.faults += [once(fault), once(fault)]
    found = await (await client_of(registry.host)).repository("a").has(ABSENT)

    assert not found
    assert len(registry.asked("HEAD")) == 3


async def test_a_cut_connection_is_tried_again(registry: FakeRegistry, client_of: Make) -> None:
    client = await client_of(registry.host)
    await client.ping()
    registry.faults += [once(cut), once(cut)]

    assert not await client.repository("a").has(ABSENT)


async def test_a_head_that_stays_unclear_is_an_error_and_never_absent(registry: FakeRegistry, client_of: Make) -> None:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=503) if request.method == "HEAD" else None

    registry.faults.append(fault)

    with pytest.raises(Unavailable):
        await (await client_of(registry.host)).repository("a").has(ABSENT)


async def test_the_registrys_wish_when_to_come_back_is_kept(registry: FakeRegistry, client_of: Make) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def fault(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=429, headers={"Retry-After": "9"}) if request.method == "HEAD" else None

    registry.faults.append(fault)
    with pytest.raises(TooMany):
        await (await client_of(registry.host, retry=Retry(tries=2, sleep=sleep))).repository("a").has(ABSENT)

    assert 9 <= waits[0] < 10


async def test_a_right_that_is_missing_is_an_error_with_dockers_words(registry: FakeRegistry, client_of: Make) -> None:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=403) if request.method == "HEAD" else None

    registry.faults.append(fault)

    with pytest.raises(Denied, match="denied: requested access to the resource is denied"):
        await (await client_of(registry.host)).repository("a").has(ABSENT)


async def test_a_list_goes_over_all_its_pages(registry: FakeRegistry, client_of: Make) -> None:
    names = [f"v{number}" for number in range(5)]

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith("/tags/list"):
            return None
        after = names.index(request.query["last"]) + 1 if "last" in request.query else 0
        page = names[after : after + 2]
        more = {"Link": f'</v2/a/tags/list?n=2&last={page[-1]}>; rel="next"'} if after + 2 < len(names) else {}
        return web.json_response({"name": "a", "tags": page}, headers=more)

    registry.faults.append(fault)
    tags = [tag async for tag in (await client_of(registry.host)).repository("a").tags()]

    assert tags == names


@pytest.mark.parametrize("tags", [None, [], "v1", 3])
async def test_a_list_without_entries_is_empty(registry: FakeRegistry, client_of: Make, tags: object) -> None:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        return web.json_response({"tags": tags}) if request.path.endswith("/tags/list") else None

    registry.faults.append(fault)

    assert [tag async for tag in (await client_of(registry.host)).repository("a").tags()] == []


async def test_a_list_that_goes_on_elsewhere_or_in_circles_ends(registry: FakeRegistry, client_of: Make) -> None:
    link = "http://127.0.0.2:1/x"

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith("/tags/list"):
            return None
        return web.json_response({"tags": ["v1"]}, headers={"Link": f'<{link}>; rel="next"'})

    registry.faults.append(fault)
    remote = (await client_of(registry.host)).repository("a")
    with pytest.raises(Unavailable, match="another host"):
        [tag async for tag in remote.tags()]
    link = "/v2/a/tags/list?n=1000"

    assert [tag async for tag in remote.tags()] == ["v1"]


async def test_a_list_of_an_unknown_repository_says_so(registry: FakeRegistry, client_of: Make) -> None:
    with pytest.raises(NameUnknown, match="name unknown"):
        [tag async for tag in (await client_of(registry.host)).repository("a").tags()]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"<html>", b'{"tags": [' + b'"v",' * 5_000_000])
async def test_a_list_that_is_no_json_or_endless_is_refused(
    registry: FakeRegistry, client_of: Make, body: bytes
) -> None:
    async def fault(request: web.Request) -> web.StreamResponse | None:
        return web.Response(body=body) if request.path.endswith("/tags/list") else None

    registry.faults.append(fault)

    with pytest.raises(Exception, match=r"not a JSON object|more than"):
        [tag async for tag in (await client_of(registry.host)).repository("a").tags()]


async def test_a_server_that_does_not_speak_http_is_said(client_of: Make) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unreachable, match=host):
            await (await client_of(host)).ping()


async def test_a_long_error_is_read_to_its_end(registry: FakeRegistry, client_of: Make) -> None:
    async def slow(request: web.Request) -> web.StreamResponse | None:
        if request.method != "GET" or request.path == "/v2/":
            return None
        response = web.StreamResponse(status=403)
        await response.prepare(request)
        for piece in (b'{"errors": [{"code": "DENIED", ', b'"message": "quota of ', b'team exceeded"}]}'):
            await response.write(piece)
            await asyncio.sleep(0)
        return response

    registry.faults.append(slow)

    with pytest.raises(Denied, match="denied: quota of team exceeded"):
        await (await client_of(registry.host)).repository("a").manifest("v1")


async def test_a_proxy_that_is_not_there_is_said(
    registry: FakeRegistry, client_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)

    with pytest.raises(Unreachable, match="proxy") as caught:
        await (await client_of("hub.example")).ping()
    assert "HTTPS_PROXY" in (caught.value.hint or "")


async def test_a_server_that_is_no_registry_is_said(client_of: Make) -> None:
    async def website(_: web.Request) -> web.StreamResponse:
        return web.Response(status=404, text="<html>")

    async with serving(website) as url:
        with pytest.raises(NotFound):
            await (await client_of(url.partition("://")[2])).ping()
