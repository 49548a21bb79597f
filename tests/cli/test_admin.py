"""``admin`` on the folder of a hub, which runs meanwhile: what it changes holds there at once, and is in the log."""

from __future__ import annotations

import json
import os
import pty
import re
import select
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from canary import OTHER_PASSWORD, PASSWORD
from servers import DOCKYARD, get

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Hub, Machine


def signs_in(hub: Hub, name: str, password: str) -> bool:
    """Whether the token service knows the user by this password."""
    secret = b64encode(f"{name}:{password}".encode()).decode()
    status, _, _ = get(f"{hub.url}/token", headers={"Authorization": f"Basic {secret}"})
    return status == 200


@pytest.fixture
def data(accounts_hub: Hub) -> str:
    return str(accounts_hub.data)


@pytest.fixture
def make(dockyard: Machine, data: str) -> Callable[[str], None]:
    """``make(name)``: a user with :data:`PASSWORD`."""

    def make(name: str) -> None:
        done = dockyard("admin", "user", "add", name, "--password-stdin", "--data", data, input=PASSWORD)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{name}\n", "")

    return make


def test_a_user_that_was_added_signs_in_at_once(
    accounts_hub: Hub, dockyard: Machine, data: str, make: Callable[[str], None]
) -> None:
    make("admin.ada")
    made = dockyard(
        "admin", "user", "add", "admin.grace", "--admin", "--email", "g@navy.example", "--full-name", "Grace Hopper",
        "--password-stdin", "--data", data, input=f"{PASSWORD}\n",
    )  # fmt: skip
    rows = dockyard.ok("admin", "user", "ls", "--format", "json", "--data", data).splitlines()
    users = {row["Name"]: row for row in map(json.loads, rows)}
    grace = users["admin.grace"]

    assert made.returncode == 0
    assert signs_in(accounts_hub, "admin.ada", PASSWORD)
    assert signs_in(accounts_hub, "admin.grace", PASSWORD)
    assert (grace["Role"], grace["Email"], grace["FullName"]) == ("administrator", "g@navy.example", "Grace Hopper")
    assert (grace["TwoFactor"], grace["Status"], users["admin.ada"]["Role"]) == ("off", "active", "user")
    assert "password" not in "".join(rows).lower()


def test_the_table_and_the_names_of_users(dockyard: Machine, data: str, make: Callable[[str], None]) -> None:
    make("admin.listed")
    header, *rows = dockyard.ok("admin", "user", "ls", "--data", data).splitlines()
    names = dockyard.ok("admin", "user", "list", "-q", "--data", data).splitlines()

    assert re.split(r" {2,}", header) == ["NAME", "FULL NAME", "EMAIL", "ROLE", "TWO-FACTOR", "STATUS", "CREATED"]
    assert [row.split()[0] for row in rows] == names == sorted(names)
    assert "admin.listed" in names


def test_a_blocked_user_is_kept_out_until_unblocked(
    accounts_hub: Hub, dockyard: Machine, data: str, make: Callable[[str], None]
) -> None:
    make("admin.blocked")
    assert signs_in(accounts_hub, "admin.blocked", PASSWORD)
    assert dockyard.ok("admin", "user", "block", "admin.blocked", "--data", data) == "admin.blocked\n"
    kept_out = not signs_in(accounts_hub, "admin.blocked", PASSWORD)
    listed = dockyard.ok("admin", "user", "ls", "--format", "{{.Name}} {{.Status}}", "--data", data)
    assert dockyard.ok("admin", "user", "unblock", "admin.blocked", "--data", data) == "admin.blocked\n"

    assert kept_out
    assert "admin.blocked blocked\n" in listed
    assert signs_in(accounts_hub, "admin.blocked", PASSWORD)


def test_what_was_done_is_told_as_json(dockyard: Machine, data: str) -> None:
    def tell(*words: str) -> dict[str, str]:
        told = dockyard(*words, "--data", data, input=PASSWORD)
        found: dict[str, str] = json.loads(told.stdout)
        return found

    name = "admin.told"
    made = tell("admin", "user", "add", name, "--password-stdin", "--format", "json")
    blocked = tell("admin", "user", "block", name, "--format", "json")
    unblocked = tell("admin", "user", "unblock", name, "--format", "json")
    changed = tell("admin", "user", "password", name, "--password-stdin", "--format", "json")
    removed = tell("admin", "user", "rm", "-f", name, "--format", "json")

    assert [user["Name"] for user in (made, blocked, unblocked, changed, removed)] == [name] * 5
    assert [user["Status"] for user in (made, blocked, unblocked)] == ["active", "blocked", "active"]
    assert made["Role"] == "user"


def test_a_password_is_changed(accounts_hub: Hub, dockyard: Machine, data: str, make: Callable[[str], None]) -> None:
    make("admin.forgetful")
    done = dockyard(
        "admin", "user", "password", "admin.forgetful", "--password-stdin", "--data", data, input=OTHER_PASSWORD
    )

    assert (done.returncode, done.stdout) == (0, "admin.forgetful\n")
    assert signs_in(accounts_hub, "admin.forgetful", OTHER_PASSWORD)
    assert not signs_in(accounts_hub, "admin.forgetful", PASSWORD)


def test_a_user_is_removed_after_a_yes(
    accounts_hub: Hub, dockyard: Machine, data: str, make: Callable[[str], None]
) -> None:
    make("admin.gone")
    make("admin.also-gone")
    kept = dockyard("admin", "user", "rm", "admin.gone", "--data", data, input="n\n")
    still = signs_in(accounts_hub, "admin.gone", PASSWORD)
    removed = dockyard("admin", "user", "rm", "admin.gone", "--data", data, input="y\n")
    forced = dockyard.ok("admin", "user", "remove", "-f", "admin.also-gone", "--data", data)

    assert (kept.returncode, still, removed.returncode, forced) == (0, True, 0, "admin.also-gone\n")
    assert "Are you sure you want to continue? [y/N]" in kept.stdout
    assert not signs_in(accounts_hub, "admin.gone", PASSWORD)
    assert not signs_in(accounts_hub, "admin.also-gone", PASSWORD)


def test_every_change_is_in_the_log_and_no_password_is(
    dockyard: Machine, data: str, make: Callable[[str], None]
) -> None:
    make("admin.logged")
    dockyard.ok("admin", "user", "block", "admin.logged", "--data", data)
    dockyard.ok("admin", "user", "unblock", "admin.logged", "--data", data)
    dockyard.ok("admin", "user", "rm", "-f", "admin.logged", "--data", data)
    rows = dockyard.ok("admin", "audit", "--format", "json", "--last", "0", "--user", "dockyard", "--data", data)
    entries = [row for row in map(json.loads, rows.splitlines()) if row["Target"] == "admin.logged"]

    assert [row["Action"] for row in entries] == ["user.remove", "user.unblock", "user.block", "user.create"]
    assert {row["Actor"] for row in entries} == {"dockyard"}
    assert PASSWORD not in rows


def test_the_log_is_cut_by_number_time_and_user(dockyard: Machine, data: str, make: Callable[[str], None]) -> None:
    make("admin.one")
    make("admin.two")
    table = dockyard.ok("admin", "audit", "-n", "2", "--since", "10m", "--data", data).splitlines()
    younger = dockyard.ok("admin", "audit", "--since", "2999-01-01", "--data", data).splitlines()
    nobody = dockyard.ok("admin", "audit", "--user", "nobody", "--data", data).splitlines()

    assert re.split(r" {2,}", table[0]) == ["AT", "ACTOR", "ACTION", "TARGET", "DETAIL", "ADDRESS"]
    assert [re.split(r" {2,}", row)[3] for row in table[1:]] == ["admin.two", "admin.one"]
    assert younger == nobody == ["AT        ACTOR     ACTION    TARGET    DETAIL    ADDRESS"]


@pytest.mark.parametrize(
    ("words", "password", "said"),
    [
        (["add", "admin.twice", "--password-stdin"], PASSWORD, "admin.twice is taken"),
        (["add", "admin.short", "--password-stdin"], "short", "8 characters"),
        (["add", "admin.empty", "--password-stdin"], "", "8 characters"),
        (["add", "No Name", "--password-stdin"], PASSWORD, "No Name"),
        (["add", "library", "--password-stdin"], PASSWORD, "library"),
        (["add", "admin.nobody-asks"], PASSWORD, "--password-stdin"),
        (["block", "admin.absent"], "", "admin.absent"),
        (["unblock", "admin.absent"], "", "admin.absent"),
        (["rm", "-f", "admin.absent"], "", "admin.absent"),
        (["password", "admin.absent", "--password-stdin"], PASSWORD, "admin.absent"),
    ],
)
def test_what_can_t_be_done_is_said_and_ends_with_1(
    dockyard: Machine, data: str, words: list[str], password: str, said: str
) -> None:
    if words[1] == "admin.twice":
        dockyard("admin", "user", *words, "--data", data, input=password)
    done = dockyard("admin", "user", *words, "--data", data, input=password)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_last_administrator_stays(start_hub: Callable[..., Hub], dockyard: Machine) -> None:
    hub = start_hub(auth="accounts")
    for words in ["rm", "-f"], ["block"]:
        done = dockyard("admin", "user", *words, hub.admin, "--data", hub.data)

        assert done.returncode == 1
        assert "administrator" in done.stderr
    assert signs_in(hub, hub.admin, hub.password)


def test_a_folder_that_is_no_hub_s_is_said_and_left_alone(dockyard: Machine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words in ["user", "ls"], ["audit"]:
        absent = dockyard("admin", *words, "--data", tmp_path / "absent")
        empty = dockyard("admin", *words, "--data", tmp_path / "empty")

        assert (absent.returncode, empty.returncode) == (1, 1)
        assert f"{tmp_path}/absent does not exist" in absent.stderr
        assert f"{tmp_path}/empty is not a hub's folder" in empty.stderr
    assert not (tmp_path / "absent").exists()
    assert not any((tmp_path / "empty").iterdir())


def test_the_first_administrator_may_come_before_the_first_start(
    start_hub: Callable[..., Hub], dockyard: Machine, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    words = ["admin", "user", "add", "early", "--password-stdin", "--data", str(folder)]
    plain = dockyard(*words, input=PASSWORD)
    absent = not folder.exists()
    done = dockyard(*words, "--admin", input=PASSWORD)
    hub = start_hub(auth="accounts", data=folder)

    assert (plain.returncode, absent) == (1, True)
    assert (done.returncode, done.stdout) == (0, "early\n")
    assert signs_in(hub, "early", PASSWORD)


@pytest.mark.parametrize("words", [["user", "ls", "--nothing"], ["audit", "-n", "many"]])
def test_a_flag_that_can_t_be_is_a_usage_error(dockyard: Machine, data: str, words: list[str]) -> None:
    assert dockyard("admin", *words, "--data", data).returncode == 125


@pytest.mark.parametrize("words", [["audit", "--since", "yesterday"], ["audit", "-n", "-1"]])
def test_a_time_or_number_that_can_t_be_is_said(dockyard: Machine, data: str, words: list[str]) -> None:
    done = dockyard("admin", *words, "--data", data)

    assert done.returncode == 1
    assert "invalid" in done.stderr


def test_the_folder_is_the_one_of_the_settings(dockyard: Machine, data: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[serve]\ndata = "{data}"\nauth = "none"\n')

    assert "boss" in dockyard.ok("admin", "user", "ls", "-q", env={"DOCKYARD_SERVE_CONFIG": str(settings)})
    assert "boss" in dockyard.ok("admin", "user", "ls", "-q", env={"DOCKYARD_SERVE_DATA": data})
    dockyard.ok("config", "set", "serve.data", data)
    assert "boss" in dockyard.ok("admin", "user", "ls", "-q")


@pytest.mark.parametrize(("again", "code"), [(PASSWORD, 0), ("something else", 1)])
def test_on_a_terminal_the_password_is_asked_for_twice(
    accounts_hub: Hub, dockyard: Machine, data: str, again: str, code: int
) -> None:
    name = f"admin.typed-{code}"
    child, terminal = pty.fork()
    if child == 0:
        os.execve(DOCKYARD, ["dockyard", "admin", "user", "add", name, "--data", data], dockyard.env)
    shown = read_until(terminal, b"Password: ")
    os.write(terminal, f"{PASSWORD}\n".encode())
    shown += read_until(terminal, b"Again: ")
    os.write(terminal, f"{again}\n".encode())
    shown += read_until(terminal, None)
    os.close(terminal)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    assert signs_in(accounts_hub, name, PASSWORD) == (code == 0)
    assert PASSWORD.encode() not in shown


def read_until(terminal: int, text: bytes | None) -> bytes:
    """What a program writes to its terminal until it has written ``text``, or ends."""
    shown = b""
    while text is None or text not in shown:
        assert select.select([terminal], [], [], 60)[0], shown
        try:
            data = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        shown += data
    return shown
