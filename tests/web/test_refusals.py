"""Errors: their bodies, their statuses, and bodies of requests that nobody wants."""

from __future__ import annotations

import pytest
from servers import Hub
from web.wire import Wire, dial, head_of

from dockyard import errors
from dockyard.errors import DockyardError
from dockyard.oci.digest import Digest
from dockyard.web.refusals import STATUS, refuse, status_of


def leaves(kind: type[DockyardError]) -> list[type[DockyardError]]:
    found = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [kind] if not found else [leaf for child in found for leaf in leaves(child)]


# A hub builds nothing.
@pytest.mark.parametrize("kind", [kind for kind in leaves(DockyardError) if kind is not errors.BuildFailed])
def test_every_error_has_a_status(kind: type[DockyardError]) -> None:
    error = kind("nothing", offset=0) if kind is errors.RangeInvalid else kind("nothing")

    assert status_of(error) in STATUS.values()


def test_an_error_carries_its_hint_its_detail_and_when_to_come_back() -> None:
    error = errors.ManifestBlobUnknown("the layer is not here", hint="Push it first.", detail=["sha256:a"])
    busy = refuse(errors.Unavailable("busy", retry_after=0.2))

    assert refuse(error).body == (
        b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"the layer is not here. Push it first.",'
        b'"detail":["sha256:a"]}]}'
    )
    assert (b"retry-after", b"1") in busy.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "", "GET, HEAD"),
        ("POST", "_catalog", "GET, HEAD"),
        ("DELETE", "{name}/tags/list", "GET, HEAD"),
        ("POST", "{name}/manifests/v1", "DELETE, GET, HEAD, PUT"),
        ("PUT", "{name}/blobs/sha256:abc", "DELETE, GET, HEAD"),
        ("GET", "{name}/blobs/uploads/", "POST"),
        ("POST", "{name}/blobs/uploads/123", "DELETE, GET, HEAD, PATCH, PUT"),
        ("OPTIONS", "{name}/referrers/sha256:abc", "GET, HEAD"),
        ("BREW", "{name}/tags/list", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_know_is_405(wire: Wire, name: str, method: str, path: str, allowed: str) -> None:
    answer = wire(method, "/v2/" + path.format(name=name))

    assert (answer.status, answer.code, answer["allow"]) == (405, "UNSUPPORTED", allowed)


@pytest.mark.parametrize(
    "path", ["x", "x/", "x/tags", "x/tags/list/", "x%2Ftags%2Flist", "x/manifests/", "x/manifests/a/b", "a%2Fb"]
)
def test_nothing_else_lives_under_v2(wire: Wire, path: str) -> None:
    answer = wire("GET", f"/v2/{path}")

    assert (answer.status, answer.code, answer["content-type"]) == (404, "UNSUPPORTED", "application/json")
    assert answer["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize("name", ["UPPER", "a/../b", "a/%2e%2e/b", "a%2Fb", "-a", "a" * 256, "a//b"])
def test_a_name_that_can_t_be_is_400(wire: Wire, name: str) -> None:
    for path in f"/v2/{name}/manifests/v1", f"/v2/{name}/blobs/{Digest.of(b'')}", f"/v2/{name}/tags/list":
        assert (wire("GET", path).status, wire("GET", path).code) == (400, "NAME_INVALID")


def test_other_addresses_say_what_this_is_and_how_it_is(wire: Wire) -> None:
    assert wire("GET", "/").body.startswith(b"This is a dockyard hub")
    assert (wire("GET", "/healthz").status, wire("GET", "/healthz").body) == (200, b"ok\n")
    assert wire("GET", "/readyz").json == {"ready": True}
    assert wire("GET", "/absent").status == 404


def test_base_says_that_this_is_a_registry(wire: Wire) -> None:
    for path in "/v2/", "/v2":
        answer = wire("GET", path)

        assert (answer.status, answer.json) == (200, {})
        assert answer["docker-distribution-api-version"] == "registry/2.0"


def test_a_client_s_id_of_a_request_comes_back_when_it_is_one(wire: Wire) -> None:
    assert wire("GET", "/v2/", x_request_id="abc-1.2_3")["x-request-id"] == "abc-1.2_3"
    for bad in "a b", "x" * 65, '"', "":
        assert wire("GET", "/v2/", x_request_id=bad)["x-request-id"] not in (bad, None)


def test_who_waits_for_leave_to_send_too_much_gets_the_refusal_instead(hub: Hub, name: str) -> None:
    with dial(hub) as peer:
        peer.sendall(
            f"PUT /v2/{name}/manifests/v1 HTTP/1.1\r\nHost: hub\r\nContent-Length: 5000000\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        head = head_of(peer)

    assert head.startswith("HTTP/1.1 413 ")
    assert "connection: close" in head.lower()


def test_who_waits_for_leave_to_send_gets_it(hub: Hub, wire: Wire, name: str) -> None:
    location = wire.begin(name)
    with dial(hub) as peer:
        peer.sendall(
            f"PATCH {location} HTTP/1.1\r\nHost: hub\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        leave = head_of(peer)
        peer.sendall(b"12345")
        head = head_of(peer)

    assert leave.startswith("HTTP/1.1 100 ")
    assert head.startswith("HTTP/1.1 202 ")


@pytest.mark.parametrize("megabytes", [0.5, 64])
def test_who_sends_too_much_without_asking_still_reads_the_refusal(hub: Hub, name: str, megabytes: float) -> None:
    size = int(megabytes * 1024 * 1024)
    with dial(hub) as peer:
        path = f"/v2/{name}/blobs/uploads/?digest=bad"
        peer.sendall(f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Length: {size}\r\n\r\n".encode())
        try:
            for _ in range(0, size, 65536):
                peer.sendall(b"x" * 65536)
        except OSError:
            pass  # the hub has had enough; its answer is there to be read
        head = head_of(peer)

    assert head.startswith("HTTP/1.1 400 ")
    assert ("connection: close" in head.lower()) == (megabytes > 1)
