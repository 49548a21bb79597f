"""The canary barks: at each kind of secret, in each place where one may not be; and keeps still at what is none."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import sqlite3
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import canary
import pytest
from canary import MARKER, PASSWORD, Leaked, password_of
from servers import Hub, Machine, get
from web.wire import Wire

from dockyard.registry.tokens import make_secret

TICKET = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLW9mLWl0"

SECRETS = [
    f"password={PASSWORD.replace(' ', '%20')}",
    *("Basic " + base64.b64encode(f"{name}:{PASSWORD}".encode()).decode() for name in ("a", "ab", "abc")),
    *(make_secret(kind) for kind in ("personal", "robot", "login")),
    f"Bearer {TICKET}",
    "Cookie: dockyard_session=" + "x" * 43,
    "otpauth://totp/hub:ada",
]
INNOCENT = [
    "sha256:" + "0" * 64,
    "Basic YWRhOm9wZW4=",
    "a token that begins with dyp_ and was created",
    "eyJ is how tickets begin",
    "dockyard_session=; Max-Age=0",
    "/v2/gold/finch/manifests/v1",
]


@pytest.mark.parametrize("secret", SECRETS, ids=[str(number) for number in range(len(SECRETS))])
def test_it_barks_at_a_secret_in_a_log(tmp_path: Path, secret: str) -> None:
    log = tmp_path / "hub.log"
    log.write_text(f'{{"event":"request","path":"/v2/","query":"{secret}"}}\n')

    with pytest.raises(Leaked, match=r"hub\.log shows"):
        canary.check_log(log)


@pytest.mark.parametrize("text", INNOCENT)
def test_it_keeps_still_at_what_is_no_secret(tmp_path: Path, text: str) -> None:
    log = tmp_path / "hub.log"
    log.write_text(f'{{"event":"{text}"}}\n')

    canary.check_log(log)
    canary.check_answer(404, Message(), text.encode())


def test_it_barks_at_a_code_in_a_log_but_for_the_line_that_is_there_to_show_one(tmp_path: Path) -> None:
    log, code = tmp_path / "hub.log", "c" * 43
    log.write_text(f"http://hub.example\nCreate the first administrator: http://hub.example/setup?code={code}\n")
    canary.check_log(log)
    log.write_text(log.read_text() + f'{{"path":"/signup?invitation={code}"}}\n')

    with pytest.raises(Leaked):
        canary.check_log(log)


@pytest.mark.parametrize("secret", SECRETS, ids=[str(number) for number in range(len(SECRETS))])
def test_it_barks_at_a_secret_in_an_answer_that_refuses(secret: str) -> None:
    headers = Message()
    headers["WWW-Authenticate"] = secret

    canary.check_answer(200, headers, secret.encode())
    with pytest.raises(Leaked):
        canary.check_answer(400, Message(), secret.encode())
    with pytest.raises(Leaked):
        canary.check_answer(401, headers, b"")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_hub_whose_log_has_a_password_does_not_end_well(start_hub: Callable[..., Hub], how: str) -> None:
    hub = start_hub(workers=1)
    kept = hub.log.read_bytes()
    with hub.log.open("a") as log:
        log.write(f"Authorization: {PASSWORD}\n")

    with pytest.raises(Leaked, match="the log"):
        hub.stop() if how == "stop" else hub.kill()

    # The fixture ends it once more.
    hub.log.write_bytes(kept)


@pytest.mark.parametrize("secret", [PASSWORD, make_secret("robot")], ids=["password", "token"])
def test_a_hub_whose_audit_log_has_a_secret_does_not_end_well(start_hub: Callable[..., Hub], secret: str) -> None:
    hub = start_hub(workers=1, auth="accounts")
    hub.user("audited")
    with contextlib.closing(sqlite3.connect(hub.data / "hub.db", timeout=30)) as database, database:
        database.execute("UPDATE audit SET detail = ? WHERE target = 'audited'", (f'{{"token": "{secret}"}}',))

    with pytest.raises(Leaked, match=r"hub\.db"):
        hub.stop()

    (hub.data / "hub.db").unlink()
    (hub.data / "hub.db-wal").unlink(missing_ok=True)


def test_the_audit_log_alone_is_read_too(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "hub.db")) as database, database:
        database.execute("CREATE TABLE audit (id INTEGER, detail TEXT)")
        database.execute("INSERT INTO audit VALUES (1, ?)", (PASSWORD,))

    assert PASSWORD in "".join(canary.audit_rows(tmp_path / "hub.db"))


class Repeating(BaseHTTPRequestHandler):
    """A server that says in its errors what it was asked."""

    def do_GET(self) -> None:
        self.send_error(404, explain=self.path)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_answer_that_says_a_secret_back_fails_the_test_that_asked() -> None:
    with HTTPServer(("127.0.0.1", 0), Repeating) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        with Wire(host) as wire, pytest.raises(Leaked):
            wire("GET", f"/{MARKER}")
        with pytest.raises(Leaked):
            get(f"http://{host}/{MARKER}")
        assert get(f"http://{host}/other")[0] == 404
        server.shutdown()


def test_no_command_of_ours_puts_a_secret_into_the_command_line_of_a_child(
    accounts_hub: Hub, dockyard: Machine, tmp_path: Path
) -> None:
    accounts_hub.user("canary-ada")
    secret = f"{os.urandom(8).hex()} {MARKER}"
    changed = dockyard(
        "admin", "user", "password", "canary-ada", "--password-stdin", "--data", accounts_hub.data, input=secret
    )
    assert changed.returncode == 0, changed.stderr
    # A credential helper that writes down the command lines of who started it and of all its children.
    programs, seen, stored = tmp_path / "bin", tmp_path / "seen", tmp_path / "stored"
    programs.mkdir()
    helper = programs / "docker-credential-canary"
    helper.write_text(
        f'#!/bin/sh\necho "$1" >> {seen}\n'
        f"for pid in $PPID $(cat /proc/$PPID/task/*/children); do cat /proc/$pid/cmdline >> {seen}; done 2>/dev/null\n"
        'none() { echo "credentials not found in native keychain"; exit 1; }\n'
        f'case "$1" in\nget) cat {stored} 2>/dev/null || none ;;\n'
        f"store) cat > {stored} ;;\nerase) rm {stored} ;;\nesac\n"
    )
    helper.chmod(0o755)
    settings = Path(dockyard.env["DOCKER_CONFIG"])
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "config.json").write_text('{"credsStore": "canary"}')
    env = {"PATH": f"{programs}:{dockyard.env['PATH']}", "DOCKYARD_DEFAULT_REGISTRY": accounts_hub.host}
    login = dockyard("login", "-u", "canary-ada", "--password-stdin", accounts_hub.host, input=secret, env=env)
    used = [dockyard(*words, env=env) for words in (["org", "ls"], ["search", "x"], ["token", "create", "of-canary"])]
    out = dockyard("logout", accounts_hub.host, env=env)

    assert [done.returncode for done in (login, *used, out)] == [0] * 5, (login.stderr, [d.stderr for d in used])
    lines = seen.read_bytes()
    assert {b"store", b"get", b"erase", b"login", b"logout"} <= set(re.split(rb"[\0\n]", lines))
    for form in (secret, secret.split()[0], base64.b64encode(f"canary-ada:{secret}".encode()).decode()):
        assert form.encode() not in lines


def test_the_users_of_tests_have_passwords_that_it_knows(accounts_hub: Hub) -> None:
    password = accounts_hub.user("canary-marked")

    assert password == password_of("canary-marked")
    for text in (password, accounts_hub.password, PASSWORD):
        assert canary.secrets_in(text.encode())
