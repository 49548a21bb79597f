"""The small grammars of the flags of a build."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from dockyard.cli import build_options as read
from dockyard.engine.build_events import CachePlace, Output
from dockyard.errors import DockyardError, Invalid, NameInvalid, Unsupported
from dockyard.oci.platform import Platform
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from pathlib import Path


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"open sesame\n")

    for spelling in ("src", "source"):
        secret = read.read_secret(f"id=token,{spelling}={tmp_path / 'token'}", {})
        assert (secret.id, secret.value) == ("token", b"open sesame\n")


@pytest.mark.parametrize("text", ["id=TOKEN", "id=TOKEN,env=TOKEN", "type=env,id=TOKEN", "id=TOKEN,type=env,src=TOKEN"])
def test_a_secret_is_read_from_the_environment(text: str) -> None:
    assert read.read_secret(text, {"TOKEN": "open sesame"}).value == b"open sesame"


def test_a_secret_without_a_source_is_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("from the file")

    assert read.read_secret("id=token", {}).value == b"from the file"
    assert read.read_secret("id=token,type=file", {"token": "from the environment"}).value == b"from the file"


def test_a_secret_may_have_a_comma_in_its_path(tmp_path: Path) -> None:
    (tmp_path / "a,b").write_text("x")

    assert read.read_secret(f'id=t,"src={tmp_path}/a,b"', {}).value == b"x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("src=/etc/passwd", "the id is missing"),
        ("token", "'token' is not a key=value pair"),
        ("id=t,path=/x", "unknown key 'path'"),
        ("id=t,id=u", "'id' is given twice"),
        ("id=t,type=vault", "unsupported type 'vault'"),
        ("id=t,src=a,env=B", "has both a src and an env"),
        ("id=t,env=NOT_SET", "the environment variable NOT_SET is not set"),
        ("id=t,src=/no/such/file", "secret t: /no/such/file: no such file or directory"),
        ('id=t,"src=x', "invalid argument"),
        ("", "the id is missing"),
    ],
)
def test_a_secret_that_can_not_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        read.read_secret(text, {})


def test_a_secret_is_in_no_text(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"swordfish" * read.MOST_SECRET)
    with pytest.raises(Invalid) as refused:
        read.read_secret(f"id=t,src={tmp_path / 'big'}", {})

    assert "500 KiB" in refused.value.message
    assert "swordfish" not in str(refused.value)
    assert "swordfish" not in repr(read.read_secret("id=t,env=T", {"T": "swordfish"}))


def test_an_agent_is_the_environments_or_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(path))

        assert read.read_ssh("default", {"SSH_AUTH_SOCK": str(path)}) == ("default", str(path))
        assert read.read_ssh("hub", {"SSH_AUTH_SOCK": str(path)}) == ("hub", str(path))
        assert read.read_ssh(f"hub={path}", {}) == ("hub", str(path))


def test_what_is_no_agent_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "id_ed25519").write_text("key")

    with pytest.raises(Invalid, match="there is no agent"):
        read.read_ssh("default", {})
    with pytest.raises(Invalid, match="no such file"):
        read.read_ssh(f"default={tmp_path / 'none'}", {})
    with pytest.raises(Unsupported) as refused:
        read.read_ssh(f"default={tmp_path / 'id_ed25519'}", {})
    assert "ssh-add" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("out", Output("local", "out")),
        ("-", Output("tar", "-")),
        ("type=local,dest=out", Output("local", "out")),
        ("type=tar,dest=out.tar", Output("tar", "out.tar")),
        ("type=tar", Output("tar", "-")),
        ("type=oci,dest=out.tar", Output("oci", "out.tar")),
        ("type=docker,dest=out.tar,name=team/app:1", Output("docker", "out.tar", names=("team/app:1",))),
        ("type=docker", Output("image")),
        ("type=image,name=team/app:1,push=true", Output("image", push=True, names=("team/app:1",))),
        ('type=image,"name=a,b"', Output("image", names=("a", "b"))),
        ("type=registry", Output("image", push=True)),
        ('type=local,"dest=a,b"', Output("local", "a,b")),
    ],
)
def test_an_output_is_a_path_or_a_type_with_a_destination(text: str, output: Output) -> None:
    assert read.read_outputs([text], push=False, load=False) == (output,)


@pytest.mark.parametrize(
    "text",
    [
        "", "type=local", "type=local,dest=-", "type=zip,dest=x", "dest=x", "type=oci,dest=x,push=true",
        "type=image,dest=x", "type=image,push=perhaps", "type=tar,dest=x,compression=gzip",
    ],
)  # fmt: skip
def test_an_output_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read.read_outputs([text], push=False, load=False)


def test_push_and_load_add_the_image_to_other_outputs() -> None:
    def outputs(*texts: str, push: bool = False, load: bool = False) -> tuple[Output, ...]:
        return read.read_outputs(texts, push=push, load=load)

    assert outputs() == ()
    assert outputs(push=True) == (Output("image", push=True),)
    assert outputs(load=True) == (Output("image"),)
    assert outputs("out", load=True) == (Output("local", "out"), Output("image"))
    assert outputs("out", push=True) == (Output("local", "out"), Output("image", push=True))
    assert outputs("type=image,name=a", push=True, load=True) == (Output("image", push=True, names=("a",)),)
    with pytest.raises(Invalid, match="only one"):
        outputs("-", "type=oci")


def check(name: str) -> object:
    return parse_reference(name)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hub:5000/team/cache:main", CachePlace("registry", "hub:5000/team/cache:main")),
        ("type=registry,ref=team/cache", CachePlace("registry", "team/cache")),
        ("type=local,{folder}=/tmp/cache", CachePlace("local", "/tmp/cache")),
        ("type=local,{folder}=/tmp/cache,mode=max", CachePlace("local", "/tmp/cache", "max")),
    ],
)
def test_a_cache_is_in_a_registry_or_a_folder(text: str, place: CachePlace) -> None:
    assert read.read_cache_from(text.format(folder="src"), check) == place
    assert read.read_cache_to(text.format(folder="dest"), check) == place


@pytest.mark.parametrize(
    "text",
    ["", "NOT A NAME", "type=registry", "type=local", "type=gha,scope=x", "type=registry,ref=a,mode=all", "ref=a"],
)
def test_a_cache_that_makes_no_sense_is_refused(text: str) -> None:
    for reader in (read.read_cache_from, read.read_cache_to):
        with pytest.raises((Invalid, NameInvalid)):
            reader(text, check)


def test_several_platforms_come_with_commas_or_one_by_one_and_each_once() -> None:
    amd64, arm64 = Platform("linux", "amd64"), Platform("linux", "arm64")

    assert read.read_platforms(["linux/amd64,linux/arm64"]) == (amd64, arm64)
    assert read.read_platforms(["linux/amd64", "linux/arm64", "linux/x86_64"]) == (amd64, arm64)
    with pytest.raises(DockyardError):
        read.read_platforms(["linux/amd64,what is this"])


def test_a_build_argument_without_a_value_has_the_environments_or_is_not_given() -> None:
    environ = {"HERE": "yes", "EMPTY": ""}

    assert read.read_build_args(["A=b=c", "E=", "HERE", "EMPTY", "NOT_HERE"], environ) == {
        "A": "b=c", "E": "", "HERE": "yes", "EMPTY": "",
    }  # fmt: skip
    with pytest.raises(Invalid):
        read.read_build_args(["=x"], environ)


def test_the_epoch_comes_from_the_environment_unless_an_argument_says_another() -> None:
    environ = {"SOURCE_DATE_EPOCH": "1700000000"}

    assert read.read_epoch(read.read_build_args([], environ)) == 1700000000
    assert read.read_epoch(read.read_build_args(["SOURCE_DATE_EPOCH=0"], environ)) == 0
    assert read.read_epoch(read.read_build_args(["SOURCE_DATE_EPOCH="], environ)) is None
    assert read.read_epoch(read.read_build_args([], {"SOURCE_DATE_EPOCH": ""})) is None


@pytest.mark.parametrize("text", ["-1", "1.5", "today", "0x10", "١٢", "253402300800", "9" * 40])
def test_an_epoch_that_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="SOURCE_DATE_EPOCH"):
        read.read_epoch({"SOURCE_DATE_EPOCH": text})


def test_labels_and_contexts_are_pairs() -> None:
    assert read.read_pairs(["a=b=c", "d", "e="], "--label") == {"a": "b=c", "d": "", "e": ""}
    assert read.read_contexts(["Base=docker-image://alpine", "src=../src"]) == {
        "base": "docker-image://alpine", "src": "../src",
    }  # fmt: skip
    with pytest.raises(Invalid):
        read.read_pairs(["=x"], "--label")
    for text in ("src", "=x", "src="):
        with pytest.raises(Invalid):
            read.read_contexts([text])


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("hub:10.0.0.1", "hub:10.0.0.1"), ("hub=10.0.0.1", "hub:10.0.0.1"), ("hub:::1", "hub:::1"),
        ("hub=[2001:db8::1]", "hub:2001:db8::1"), ("hub:host-gateway", "hub:host-gateway"),
        ("hub.example.com=127.0.0.1", "hub.example.com:127.0.0.1"),
    ],
)  # fmt: skip
def test_a_host_has_an_address_behind_a_colon_or_an_equals_sign(text: str, host: str) -> None:
    assert read.read_host(text) == host


@pytest.mark.parametrize(
    "text", ["hub", "hub:", ":10.0.0.1", "hub:10.0.0", "hub:other", "a b:10.0.0.1", "a\nb:10.0.0.1"]
)
def test_a_host_that_hosts_files_can_not_hold_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read.read_host(text)


@pytest.mark.parametrize(
    ("text", "size"), [("64m", 2**26), ("64MB", 2**26), ("1g", 2**30), ("1.5k", 1536), ("512", 512), ("1 GiB", 2**30)]
)
def test_a_size_has_units_of_base_1024(text: str, size: int) -> None:
    assert read.read_size(text, "--shm-size") == size


@pytest.mark.parametrize("text", ["", "m", "-1", "64x", "1e9", "9" * 30])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read.read_size(text, "--shm-size")
