"""``login`` and ``logout`` beside docker's own, on Debian's registry behind a password."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import subprocess
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyotp
import pytest
from canary import PASSWORD, password_of
from logged_in import new_user
from servers import DOCKYARD, must

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import DockerRegistry, Hub, Machine


def config(machine: Machine) -> Path:
    return Path(machine.env["DOCKER_CONFIG"], "config.json")


def test_a_login_by_stdin_is_checked_and_kept_as_docker_keeps_it(
    docker_registry_with_login: DockerRegistry, dockyard: Machine
) -> None:
    host = docker_registry_with_login.host
    done = dockyard("login", "-u", "ada", "--password-stdin", host, input=f"{PASSWORD}\n")

    assert (done.returncode, done.stdout) == (0, "Login Succeeded\n")
    assert f"WARNING! Your credentials are stored unencrypted in '{config(dockyard)}'." in done.stderr
    ours = config(dockyard).read_text()
    assert config(dockyard).stat().st_mode & 0o777 == 0o600
    config(dockyard).unlink()
    subprocess.run(
        ["docker", "login", "-u", "ada", "--password-stdin", host],
        input=PASSWORD, env=dockyard.env, text=True, check=True, capture_output=True,
    )  # fmt: skip
    assert json.loads(ours) == json.loads(config(dockyard).read_text())


def test_a_second_login_needs_no_password_and_a_logout_forgets_it(
    docker_registry_with_login: DockerRegistry, dockyard: Machine
) -> None:
    host = docker_registry_with_login.host
    dockyard("login", "-u", "ada", "--password-stdin", host, input=PASSWORD)
    again = dockyard("login", host)

    assert (again.returncode, again.stdout) == (0, "Login Succeeded\n")
    assert "Authenticating with existing credentials... [Username: ada]" in again.stderr
    assert "unencrypted" not in again.stderr
    assert dockyard.ok("logout", host) == f"Removing login credentials for {host}\n"
    assert json.loads(config(dockyard).read_text())["auths"] == {}
    assert dockyard("login", host).returncode == 1


def test_a_wrong_password_is_refused_and_not_kept(
    docker_registry_with_login: DockerRegistry, dockyard: Machine
) -> None:
    done = dockyard("login", "-u", "ada", "--password-stdin", docker_registry_with_login.host, input="wrong")

    assert (done.returncode, done.stdout) == (1, "")
    assert "unauthorized: incorrect username or password" in done.stderr
    assert not config(dockyard).exists()


def test_a_password_in_argv_works_and_is_warned_of(
    docker_registry_with_login: DockerRegistry, dockyard: Machine
) -> None:
    done = dockyard("login", "-u", "ada", "-p", PASSWORD, docker_registry_with_login.host)

    assert done.returncode == 0
    assert "WARNING! Using --password via the CLI is insecure. Use --password-stdin." in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_a_helper_is_used_and_nothing_is_warned_of(
    docker_registry_with_login: DockerRegistry, dockyard: Machine, tmp_path: Path
) -> None:
    helper = tmp_path / "bin" / "docker-credential-folder"
    helper.parent.mkdir()
    helper.write_text(
        '#!/bin/sh\ncase $1 in store) cat > "$HOME/secret" ;; get) cat > /dev/null; test -e "$HOME/secret" && '
        'cat "$HOME/secret" || { echo credentials not found in native keychain; exit 1; } ;; '
        'erase) cat > /dev/null; rm "$HOME/secret" ;; esac\n'
    )
    helper.chmod(0o755)
    env = {"PATH": f"{helper.parent}:{os.environ['PATH']}"}
    config(dockyard).parent.mkdir(parents=True)
    config(dockyard).write_text('{"credsStore": "folder", "psFormat": "table"}')
    host = docker_registry_with_login.host
    done = dockyard("login", "-u", "ada", "--password-stdin", host, input=PASSWORD, env=env)
    kept = json.loads(config(dockyard).read_text())

    assert (done.returncode, done.stderr) == (0, "")
    assert kept == {"credsStore": "folder", "psFormat": "table", "auths": {host: {}}}
    assert json.loads(Path(dockyard.env["HOME"], "secret").read_text())["Secret"] == PASSWORD
    assert dockyard("login", host, env=env).returncode == 0
    assert dockyard("logout", host, env=env).returncode == 0
    assert not Path(dockyard.env["HOME"], "secret").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-u", "x", "-p", "y", "--password-stdin"), "cannot specify both --password and --password-stdin"),
        (("--password-stdin",), "the --password-stdin option requires --username to be set"),
        ((), "Error: Cannot perform an interactive login from a non TTY device"),
        (("-p", "x"), "Error: Cannot perform an interactive login from a non TTY device"),
        (("-u", "x", "-p", "y", "not a host"), "'not a host' is not a registry's host"),
    ],
)
def test_a_login_that_makes_no_sense_is_refused(words: tuple[str, ...], says: str, dockyard: Machine) -> None:
    done = dockyard("login", *words, input="")

    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr


def test_a_registry_that_is_not_there_is_said_so(dockyard: Machine) -> None:
    done = dockyard("login", "-u", "a", "-p", "b", "127.0.0.1:1")

    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_server_it_is_the_default_registry(
    docker_registry_with_login: DockerRegistry, dockyard: Machine
) -> None:
    host = docker_registry_with_login.host
    must(DOCKYARD, "config", "set", "default-registry", host, env=dockyard.env)

    assert dockyard("login", "-u", "ada", "-p", PASSWORD).returncode == 0
    assert dockyard.ok("logout") == f"Removing login credentials for {host}\n"


def test_at_a_terminal_name_and_password_are_asked_for_and_the_password_is_not_shown(
    docker_registry_with_login: DockerRegistry, dockyard: Machine
) -> None:
    terminal, other_end = pty.openpty()
    command = ["setsid", "--ctty", "--wait", DOCKYARD, "login", docker_registry_with_login.host]
    with subprocess.Popen(command, env=dockyard.env, stdin=other_end, stdout=other_end, stderr=other_end) as process:
        os.close(other_end)
        shown = read_until(terminal, "Username: ")
        os.write(terminal, b"ada\n")
        shown += read_until(terminal, "Password: ")
        os.write(terminal, f"{PASSWORD}\n".encode())
        shown += read_until(terminal, "Login Succeeded")
        code = process.wait(30)
    os.close(terminal)

    assert code == 0
    assert PASSWORD not in shown


def read_until(terminal: int, text: str) -> str:
    shown = ""
    while text not in shown:
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, f"nothing more after {shown!r}"
        shown += os.read(terminal, 4096).decode()
    return shown


def test_our_hub_gives_a_login_of_its_own_in_place_of_the_password(accounts_hub: Hub, dockyard: Machine) -> None:
    password = accounts_hub.user("login-ada")
    done = dockyard("login", "-u", "login-ada", "--password-stdin", accounts_hub.host, input=password)
    kept = json.loads(config(dockyard).read_text())["auths"][accounts_hub.host]

    assert (done.returncode, done.stdout) == (0, "Login Succeeded\n")
    assert kept["identitytoken"].startswith("dyl_")
    assert base64.b64decode(kept["auth"]) == b"login-ada:"
    assert dockyard.ok("login", accounts_hub.host) == "Login Succeeded\n"
    assert dockyard("login", "-u", "login-ada", "--password-stdin", accounts_hub.host, input="wrong").stderr == (
        f"Error: {accounts_hub.host}: unauthorized: incorrect username or password\n"
        "A personal access token of the registry, made on its pages, works in place of the password.\n"
    )


def test_with_a_second_factor_only_a_token_logs_in_and_that_is_said(
    accounts_hub: Hub, machine: Callable[[str], Machine]
) -> None:
    ada = new_user(accounts_hub, machine, "login-factor")
    password = password_of("login-factor")
    token = ada.ok("token", "create", "laptop").strip()
    turn_on_second_factor(accounts_hub, "login-factor", password)
    refused = ada("login", "-u", "login-factor", "--password-stdin", accounts_hub.host, input=password)
    accepted = ada("login", "-u", "login-factor", "--password-stdin", accounts_hub.host, input=token)

    assert refused.returncode == 1
    assert "two-factor authentication" in refused.stderr
    assert "use a personal access token" in refused.stderr
    assert (accepted.returncode, accepted.stdout) == (0, "Login Succeeded\n")


def turn_on_second_factor(hub: Hub, name: str, password: str) -> None:
    """As an authenticator's user does."""
    begun = ask(hub, name, password, "POST", {"password": password})
    ask(hub, name, password, "PUT", {"code": pyotp.TOTP(begun["secret"]).now()})


def ask(hub: Hub, name: str, password: str, method: str, fields: dict[str, str]) -> Any:
    headers = {
        "Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode(),
        "Content-Type": "application/json",
    }
    url = f"{hub.url}/api/v1/account/second-factor"
    request = urllib.request.Request(url, json.dumps(fields).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)
