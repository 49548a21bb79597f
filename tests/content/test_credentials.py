import base64
import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from dockyard.content.credentials import HUB_KEY, DockerConfig, Login
from dockyard.errors import DockyardError, Invalid, Unavailable

HELPER = """#!/bin/sh
# A credential helper after docker's protocol; it keeps everything in a folder and notes how it was called.
store=$(dirname "$0")/kept
mkdir -p "$store"
echo "$0 $*" >> "$(dirname "$0")/calls"
input=$(cat)
name=$(printf %s "$input" | tr -c 'a-zA-Z0-9.' _)
case $1 in
get) [ -f "$store/$name" ] || { echo 'credentials not found in native keychain'; exit 1; }
    cat "$store/$name" ;;
store) server=$(printf %s "$input" | sed 's/.*"ServerURL": *"\\([^"]*\\)".*/\\1/')
    printf %s "$input" > "$store/$(printf %s "$server" | tr -c 'a-zA-Z0-9.' _)" ;;
erase) rm "$store/$name" ;;
list) echo '{"https://index.docker.io/v1/": "ada"}' ;;
esac
"""


@pytest.fixture
def config(tmp_path: Path) -> DockerConfig:
    return DockerConfig(tmp_path / "docker" / "config.json")


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a helper called ``test``."""
    program = tmp_path / "bin" / "docker-credential-test"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program.parent


def write(config: DockerConfig, fields: dict[str, Any]) -> None:
    config.path.parent.mkdir(exist_ok=True)
    config.path.write_text(json.dumps(fields))


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def test_the_file_is_where_docker_has_it() -> None:
    assert DockerConfig.default({"HOME": "/home/ada"}).path == Path("/home/ada/.docker/config.json")
    assert DockerConfig.default({"HOME": "/x", "DOCKER_CONFIG": "/etc/d"}).path == Path("/etc/d/config.json")


def test_without_a_file_everybody_is_anonymous(config: DockerConfig) -> None:
    assert config.get("docker.io") is None
    assert not config.erase("docker.io")
    assert config.registries() == {}


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        (HUB_KEY, "docker.io"),
        ("index.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
        ("localhost:5000", "localhost:5000"),
        ("https://hub.example", "hub.example"),
        ("https://hub.example/v1/", "hub.example"),
        ("http://hub.example:80/v2/", "hub.example:80"),
    ],
)
def test_a_login_is_found_under_every_name_docker_wrote(config: DockerConfig, key: str, registry: str) -> None:
    write(config, {"auths": {key: auth("ada:pass:word")}})

    assert config.get(registry) == Login("ada", "pass:word")
    assert config.get("other.example") is None


def test_a_login_for_one_port_is_none_for_another(config: DockerConfig) -> None:
    write(config, {"auths": {"hub.example:5000": auth("ada:x")}})

    assert config.get("hub.example") is None
    assert config.get("hub.example:5001") is None


def test_an_identity_token_is_kept_apart_from_passwords(config: DockerConfig) -> None:
    write(config, {"auths": {"hub.example": {**auth("ada:"), "identitytoken": "t0k"}}})

    assert config.get("hub.example") == Login("ada", identity_token="t0k")


@pytest.mark.parametrize("entry", [{}, {"auth": "!"}, {"auth": "bm8="}, {"auth": 3}, None, "text", auth("ada:")])
def test_an_entry_without_a_secret_is_no_login(config: DockerConfig, entry: Any) -> None:
    write(config, {"auths": {"hub.example": entry}})

    assert config.get("hub.example") is None


def test_what_is_stored_is_read_back_and_nothing_else_changes(config: DockerConfig) -> None:
    before = {"HttpHeaders": {"X": "ü"}, "auths": {"other.example": auth("bob:x")}, "currentContext": "c"}
    write(config, before)
    config.store("docker.io", Login("ada", "s3cret"))
    fields = json.loads(config.path.read_text())

    assert config.get("docker.io") == Login("ada", "s3cret")
    assert fields == before | {"auths": before["auths"] | {HUB_KEY: auth("ada:s3cret")}}  # type: ignore[operator]


def test_the_file_is_for_its_owner_only_and_a_link_to_it_stays_one(config: DockerConfig, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text("{}")
    real.chmod(0o644)
    config.path.parent.mkdir()
    config.path.symlink_to(real)
    config.store("hub.example", Login("ada", "x"))

    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert config.path.is_symlink()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_a_logout_takes_every_name_of_the_registry(config: DockerConfig) -> None:
    write(config, {"auths": {HUB_KEY: auth("ada:x"), "docker.io": auth("ada:x"), "hub.example": auth("bob:x")}})

    assert config.erase("docker.io")
    assert not config.erase("docker.io")
    assert config.registries() == {"hub.example": "bob"}


def test_a_file_that_is_no_json_is_said_and_left_alone(config: DockerConfig) -> None:
    config.path.parent.mkdir()
    config.path.write_text("{broken")

    with pytest.raises(Invalid, match=r"config\.json"):
        config.store("hub.example", Login("ada", "x"))
    assert config.path.read_text() == "{broken"


def test_a_helper_keeps_the_login_and_the_file_only_says_that_there_is_one(config: DockerConfig, helper: Path) -> None:
    write(config, {"credsStore": "test"})

    assert config.store("hub.example", Login("ada", "s3cret")) == "test"
    assert config.get("hub.example") == Login("ada", "s3cret")
    assert json.loads(config.path.read_text())["auths"] == {"hub.example": {}}
    assert config.erase("hub.example")
    assert config.get("hub.example") is None


def test_a_helper_of_one_registry_is_asked_for_that_one_only(config: DockerConfig, helper: Path) -> None:
    write(config, {"credHelpers": {"hub.example": "test"}, "auths": {"other.example": auth("bob:x")}})
    config.store("hub.example", Login("ada", identity_token="t0k"))

    assert config.get("hub.example") == Login("<token>", identity_token="t0k")
    assert config.get("other.example") == Login("bob", "x")
    assert "other" not in (helper / "calls").read_text()


def test_what_a_helper_does_not_have_may_still_be_in_the_file(config: DockerConfig, helper: Path) -> None:
    write(config, {"credsStore": "test", "auths": {"hub.example": auth("ada:x")}})

    assert config.get("hub.example") == Login("ada", "x")


def test_secrets_are_never_in_the_arguments_of_a_helper_nor_in_what_is_printed(
    config: DockerConfig, helper: Path
) -> None:
    write(config, {"credsStore": "test"})
    config.store("hub.example", Login("ada", "s3cret"))
    config.get("hub.example")
    config.erase("hub.example")

    assert "s3cret" not in (helper / "calls").read_text()
    assert "s3cret" not in repr(Login("ada", "s3cret", "s3cret"))


def test_the_logins_of_a_helper_are_listed(config: DockerConfig, helper: Path) -> None:
    write(config, {"credsStore": "test"})

    assert config.registries() == {"docker.io": "ada"}


def test_a_helper_that_is_not_there_or_fails_is_named(config: DockerConfig, helper: Path) -> None:
    write(config, {"credsStore": "absent"})
    with pytest.raises(Unavailable, match="docker-credential-absent is not installed"):
        config.get("hub.example")
    (helper / "docker-credential-broken").write_text("#!/bin/sh\necho s3cret; exit 3\n")
    (helper / "docker-credential-broken").chmod(0o755)
    write(config, {"credsStore": "broken"})

    with pytest.raises(DockyardError, match="exit code 3") as caught:
        config.get("hub.example")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["../evil", "a/b", "-x", "a b"])
def test_a_helper_is_a_name_and_never_a_path(config: DockerConfig, name: str) -> None:
    write(config, {"credsStore": name})

    with pytest.raises(Invalid, match="not the name of a credential helper"):
        config.get("hub.example")


def _login(path: Path, number: int) -> None:
    DockerConfig(path).store(f"hub{number}.example", Login("ada", str(number)))


def test_logins_at_the_same_time_lose_nothing(config: DockerConfig) -> None:
    spawn = multiprocessing.get_context("fork")
    processes = [spawn.Process(target=_login, args=(config.path, number)) for number in range(12)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert sorted(config.registries()) == sorted(f"hub{number}.example" for number in range(12))
