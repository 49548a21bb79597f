"""The server with accounts: what it refuses to be started as, how it becomes somebody's, and https."""

from __future__ import annotations

import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from canary import OTHER_PASSWORD, PASSWORD
from certificates import Certificate, certificate
from servers import ADMIN, DOCKYARD, Hub, Server, get, must, plain_environment, run

from dockyard.config import ServeSettings
from dockyard.errors import SettingInvalid
from dockyard.web.exposure import check_exposure, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

OUTSIDE = "192.0.2.1:5000"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"), "localhost", "IP:127.0.0.1")


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """``serving(*flags, env=)``: the command with accounts and nothing that the tests' own hub adds."""
    started: list[Server] = []

    def start(*flags: str | Path, env: Mapping[str, str] = {}) -> Server:
        command = [DOCKYARD, "serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data", "--workers", "1", *flags]
        environment = plain_environment(tmp_path / "home") | dict(env)
        started.append(Server(command, log=tmp_path / f"log{len(started)}", env=environment))
        return started[-1]

    yield start
    for server in started:
        server.kill()


def refused(tmp_path: Path, *flags: str | Path, env: Mapping[str, str] = {}) -> str:
    """What the command says, which has to end with 1 and nothing on stdout."""
    command = [DOCKYARD, "serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data", *flags]
    done = run(*command, env=plain_environment(tmp_path / "home") | dict(env), timeout=60)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"listen": "localhost:5000"},
        {"listen": "[::1]:5000", "url": "http://localhost:5000"},
        {"url": "https://hub.example"},
        {"url": "https://hub.example", "trusted_proxies": ("127.0.0.1",)},
        {"url": "http://hub.example", "insecure_http": True},
        {"trusted_proxies": ("127.0.0.1",), "insecure_http": True},
        {"listen": OUTSIDE, "tls_cert": "a", "tls_key": "b"},
        {"listen": OUTSIDE, "url": "https://hub.example", "trusted_proxies": ("192.0.2.7",)},
        {"listen": OUTSIDE, "insecure_http": True},
        {"listen": "0.0.0.0:443", "tls_cert": "a", "tls_key": "b", "url": "https://hub.example"},
        {"listen": "[::]:80", "url": "http://hub.example", "insecure_http": True},
        {"auth": "none"},
        {"auth": "none", "listen": "0.0.0.0:80", "insecure_open": True},
    ],
    ids=str,
)
def test_what_shows_nobody_s_password_may_be_served(settings: dict[str, object]) -> None:
    check_exposure(ServeSettings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"listen": OUTSIDE}, "--insecure-http"),
        ({"listen": "0.0.0.0:5000"}, "--tls-cert"),
        ({"listen": OUTSIDE, "url": "https://hub.example"}, "--trusted-proxies"),
        ({"listen": OUTSIDE, "trusted_proxies": ("192.0.2.7",)}, "--url https"),
        ({"listen": OUTSIDE, "insecure_open": True}, "--insecure-http"),
        ({"trusted_proxies": ("127.0.0.1",)}, "--url https"),
        ({"trusted_proxies": ("127.0.0.1",), "url": "http://hub.example"}, "https"),
        ({"url": "http://hub.example"}, "--insecure-http"),
        ({"listen": "[::]:443", "tls_cert": "a", "tls_key": "b"}, "--url https://hub.example.com"),
        ({"listen": "0.0.0.0:5000", "insecure_http": True}, "--url http://hub.example.com:5000"),
        ({"auth": "none", "listen": OUTSIDE, "insecure_http": True}, "--insecure-open"),
    ],
    ids=str,
)
def test_what_would_show_passwords_is_refused_with_what_to_write(settings: dict[str, object], hint: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        check_exposure(ServeSettings(**settings))  # type: ignore[arg-type]

    assert hint in (caught.value.hint or "")


def test_a_hub_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    said = refused(tmp_path, "--listen", "0.0.0.0:0")

    assert "plain http" in said
    assert not (tmp_path / "data").exists()


def test_without_an_administrator_the_second_line_is_a_link_that_makes_one(serving: Callable[..., Server]) -> None:
    server = serving()
    address, line = server.line(), server.line()
    link = re.match(rf"Create the first administrator: ({re.escape(address)}/setup\?code=(\S+)) ", line)

    assert link, line
    assert get(link[1])[0] == 200
    assert "once" in line
    assert "24 hours" in line
    assert server.stop() == 0
    # What the tests keep of stdout is in the same file: the code is there once, and in no line of the log.
    assert server.log.read_text().count(link[2]) == 1


def test_the_link_is_of_the_url_and_no_longer_shown_once_there_is_an_administrator(
    serving: Callable[..., Server], tmp_path: Path
) -> None:
    server = serving("--url", "https://hub.example/")
    server.line()

    assert "https://hub.example/setup?code=" in server.line()
    server.stop()
    must(
        "sh", "-c", f'echo {PASSWORD} | "$@"', "sh",
        DOCKYARD, "admin", "user", "add", "ada", "--admin", "--password-stdin", "--data", tmp_path / "data",
    )  # fmt: skip
    server = serving()
    server.line()
    assert server.stop() == 0
    assert "first administrator" not in server.log.read_text()


def test_an_unattended_start_makes_the_administrator_once(serving: Callable[..., Server], tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nignored\n")
    given = {"DOCKYARD_ADMIN": "ada", "DOCKYARD_ADMIN_PASSWORD_FILE": str(file)}
    for _ in range(2):
        server = serving(env=given)
        url = server.line()
        assert signs_in(url, "ada", PASSWORD)
        assert not signs_in(url, "ada", OTHER_PASSWORD)
        assert server.stop() == 0
        file.write_text(f"{OTHER_PASSWORD}\n")
    file.unlink()
    server = serving(env=given)
    url = server.line()

    assert signs_in(url, "ada", PASSWORD)
    assert "Create the first" not in server.log.read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "can't read the password file"), (b"", "no password"), (b"\nnext line\n", "no password"), (b"short\n", "8"),
     (b"\xff\xfe and more\n", "UTF-8")],
)  # fmt: skip
def test_a_password_file_that_can_t_be_used_is_said(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    assert said in refused(tmp_path, env={"DOCKYARD_ADMIN": "ada", "DOCKYARD_ADMIN_PASSWORD_FILE": str(file)})
    assert "DOCKYARD_ADMIN_PASSWORD_FILE" in refused(tmp_path, env={"DOCKYARD_ADMIN": "ada"})


def test_the_tests_own_hub_has_an_administrator_and_makes_users(accounts_hub: Hub) -> None:
    password = accounts_hub.user("server-accounts.ada")

    assert signs_in(accounts_hub.url, ADMIN, accounts_hub.password)
    assert signs_in(accounts_hub.url, "server-accounts.ada", password)
    assert not signs_in(accounts_hub.url, "server-accounts.ada", password + ".")


def test_https_is_served_with_a_certificate_and_its_key(tls: Certificate, serving: Callable[..., Server]) -> None:
    server = serving("--tls-cert", tls.cert, "--tls-key", tls.key)
    address, link = server.line(), server.line()
    trusting = ssl.create_default_context(cafile=str(tls.authority))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{address}/v2/", context=trusting, timeout=30)
    challenge = caught.value.headers["www-authenticate"]
    caught.value.close()

    assert address.startswith("https://127.0.0.1:")
    assert f"{address}/setup?code=" in link
    assert caught.value.code == 401
    assert f'realm="{address}/token"' in challenge
    assert server.stop() == 0


def test_old_tls_is_not_spoken(tls: Certificate, serving: Callable[..., Server]) -> None:
    server = serving("--tls-cert", tls.cert, "--tls-key", tls.key)
    host = server.line().removeprefix("https://")
    for version, answers in ("-tls1_2", True), ("-tls1_1", False):
        done = run("openssl", "s_client", "-connect", host, version, "-cipher", "DEFAULT@SECLEVEL=0", timeout=30)

        assert ("Cipher is ECDHE" in done.stdout.replace("Cipher is TLS", "Cipher is ECDHE")) == answers, done.stdout


def test_a_certificate_that_can_t_be_served_is_said_before_anything_starts(
    tls: Certificate, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = certificate(tmp_path / "other", "localhost")
    locked = tmp_path / "locked.pem"
    must("openssl", "pkey", "-in", tls.key, "-aes128", "-passout", "pass:secret", "-out", locked)
    text = tmp_path / "text"
    text.write_text("no certificate at all")

    assert "no use without --tls-key" in refused(tmp_path, "--tls-cert", tls.cert)
    assert "no use without --tls-cert" in refused(tmp_path, "--tls-key", tls.key)
    assert "can't read the certificate /absent" in refused(tmp_path, "--tls-cert", "/absent", "--tls-key", tls.key)
    assert "can't read the key /absent" in refused(tmp_path, "--tls-cert", tls.cert, "--tls-key", "/absent")
    assert "is not the one of the certificate" in refused(tmp_path, "--tls-cert", tls.cert, "--tls-key", other.key)
    assert "in PEM" in refused(tmp_path, "--tls-cert", text, "--tls-key", tls.key)
    assert "has a password" in refused(tmp_path, "--tls-cert", tls.cert, "--tls-key", locked)
    assert not (tmp_path / "data").exists()


def test_the_client_that_a_trusted_proxy_names_is_the_one_in_the_log(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub("--trusted-proxies", "127.0.0.1,10.0.0.0/8", "--insecure-http", auth="accounts")
    get(f"{hub.url}/v2/", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7, 10.1.2.3"})
    hub.stop()
    lines = [json.loads(line) for line in hub.log.read_text().splitlines() if line.startswith("{")]

    assert [line["client"] for line in lines if line.get("event") == "request"] == ["198.51.100.7"]


def test_the_client_that_a_stranger_names_is_not(start_hub: Callable[..., Hub]) -> None:
    hub = start_hub(auth="accounts")
    get(f"{hub.url}/v2/", headers={"X-Forwarded-For": "203.0.113.9"})
    hub.stop()

    assert "203.0.113.9" not in hub.log.read_text()
    assert '"client":"127.0.0.1"' in hub.log.read_text()


def signs_in(url: str, name: str, password: str) -> bool:
    """Whether the token service knows the user by this password."""
    status, _, _ = get(f"{url}/token?account={urllib.parse.quote(name)}", headers=basic(name, password))
    assert status in (200, 401)
    return status == 200


def basic(name: str, password: str) -> dict[str, str]:
    from base64 import b64encode

    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def test_an_https_address_that_nobody_here_speaks_is_warned_of_unless_the_proxy_is_named() -> None:
    behind = ServeSettings(url="https://hub.example")

    assert "--trusted-proxies" in (warning(behind) or "")
    assert warning(replace(behind, trusted_proxies=("127.0.0.1",))) is None
    assert warning(replace(behind, tls_cert="cert.pem", tls_key="key.pem")) is None
    assert warning(replace(behind, auth="none")) is None
    assert warning(ServeSettings()) is None
