"""Bodies that come after their sender's access has ended: they change nothing, however early the request began."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from web.json.api import basic, bearer
from web.pages.browsing import FORM, Browser, signed_in
from web.wire import Wire, dial, head_of, image

if TYPE_CHECKING:
    from servers import Hub


def status_of_late(
    hub: Hub, method: str, path: str, headers: Mapping[str, str], body: bytes, meanwhile: Callable[[], object]
) -> int:
    """Send a request's head; its body only when the hub has begun to read it, and ``meanwhile`` has happened."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {hub.host}", f"Content-Length: {len(body)}", "Expect: 100-continue"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with dial(hub) as peer:
        peer.sendall("\r\n".join([*lines, "", ""]).encode())
        assert head_of(peer).startswith("HTTP/1.1 100 ")
        meanwhile()
        peer.sendall(body)
        return int(head_of(peer).split(" ")[1])


def token_of(hub: Hub, name: str, password: str) -> tuple[str, Callable[[], object]]:
    """A new token of the user, and what revokes it."""
    with Wire(hub) as wire:
        body = json.dumps({"name": "lost", "scopes": ["admin"]}).encode()
        made = wire("POST", "/api/v1/account/tokens", body, basic(name, password), content_type="application/json")

    def revoke() -> None:
        with Wire(hub) as wire:
            path = f"/api/v1/account/tokens/{made.json['token']['id']}"
            assert wire("DELETE", path, headers=basic(name, password)).status == 204

    return made.json["secret"], revoke


def test_the_json_api_does_nothing_for_a_token_that_was_revoked_meanwhile(accounts_hub: Hub) -> None:
    secret, revoke = token_of(accounts_hub, "late.ada", accounts_hub.user("late.ada"))
    headers = bearer(secret) | {"Content-Type": "application/json"}
    status = status_of_late(accounts_hub, "POST", "/api/v1/orgs", headers, b'{"name": "late-org"}', revoke)
    with Wire(accounts_hub) as wire:
        there = wire("GET", "/api/v1/accounts/late-org").status

    assert (status, there) == (401, 404)


def test_a_manifest_is_not_taken_from_a_token_that_was_revoked_meanwhile(accounts_hub: Hub) -> None:
    password = accounts_hub.user("late.bob")
    secret, revoke = token_of(accounts_hub, "late.bob", password)
    manifest = image(b"{}", [])
    with Wire(accounts_hub) as wire:
        of_blob = f"/v2/late.bob/app/blobs/uploads/?digest={manifest.blobs[0].digest}"
        assert wire("POST", of_blob, b"{}", basic("late.bob", password)).status == 201
    headers = basic("late.bob", secret) | {"Content-Type": manifest.media_type}
    path = "/v2/late.bob/app/manifests/v1"
    status = status_of_late(accounts_hub, "PUT", path, headers, manifest.raw, revoke)
    with Wire(accounts_hub) as wire:
        there = wire("GET", path, headers=basic("late.bob", password)).status

    assert (status, there) == (401, 404)


def test_a_manifest_is_not_taken_from_an_administrator_of_before(accounts_hub: Hub) -> None:
    password, boss = accounts_hub.user("late.eve"), basic(accounts_hub.admin, accounts_hub.password)
    manifest = image(b"{}", [])

    def administer(value: bool) -> None:
        with Wire(accounts_hub) as wire:
            body = json.dumps({"administrator": value}).encode()
            changed = wire("PATCH", "/api/v1/users/late.eve", body, boss, content_type="application/json")
            assert changed.status == 200

    administer(True)
    headers = basic("late.eve", password) | {"Content-Type": manifest.media_type}
    path = "/v2/late-official/manifests/v1"
    status = status_of_late(accounts_hub, "PUT", path, headers, manifest.raw, lambda: administer(False))

    assert status == 403


def test_a_form_is_not_taken_from_a_session_that_ended_meanwhile(accounts_hub: Hub) -> None:
    password = accounts_hub.user("late.kim")
    browser = signed_in(accounts_hub, "late.kim", password)
    csrf = browser.get("/account").form("/logout").fields["csrf"][0]
    headers = {"Cookie": f"dockyard_session={browser.session}", "Content-Type": FORM}

    def sign_out() -> None:
        same = Browser(accounts_hub)
        same.cookies |= browser.cookies
        assert same.post("/logout", {"csrf": csrf}).status == 303

    body = f"csrf={csrf}&do=profile&full_name=Late&email=&visibility=public".encode()
    status = status_of_late(accounts_hub, "POST", "/account", headers, body, sign_out)
    with Wire(accounts_hub) as wire:
        name = wire("GET", "/api/v1/accounts/late.kim").json["full_name"]

    assert (status, name) == (403, "")
