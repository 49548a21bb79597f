"""The text behind RUN --mount."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.dockerfile.mounts import MountPlace, mount_source, parse_mount
from dockyard.dockerfile.steps import Mount, Origin, Where
from dockyard.errors import Invalid

CONTEXT = Origin(Where.CONTEXT)


def read(text: str, place: MountPlace | None = None) -> Mount:
    return parse_mount(text, place or MountPlace("/work"), str, lambda name: Origin(Where.IMAGE, name))


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("target=/x", Mount("bind", "/x", CONTEXT, readonly=True)),
        ("type=bind,dst=x", Mount("bind", "/work/x", CONTEXT, readonly=True)),
        ("type=BIND,Source=a,destination=../y", Mount("bind", "/y", CONTEXT, "a", readonly=True)),
        ("target=/x,from=alpine,src=/etc,rw", Mount("bind", "/x", Origin(Where.IMAGE, "alpine"), "/etc")),
        ("target=/x,ro=0", Mount("bind", "/x", CONTEXT)),
        ("target=/x,rw=true,readonly", Mount("bind", "/x", CONTEXT, readonly=True)),
        ('"target=/a,b"', Mount("bind", "/a,b", CONTEXT, readonly=True)),
        ("type=cache,target=c/", Mount("cache", "/work/c", id="c")),
        ("type=cache,target=/c,id=n,sharing=LOCKED,ro", Mount("cache", "/c", id="n", readonly=True, sharing="locked")),
        ("required,type=secret,id=a/b", Mount("secret", "/run/secrets/b", id="a/b", readonly=True, required=True)),
        ("type=secret,src=s", Mount("secret", "/run/secrets/s", id="s", readonly=True)),
        ("type=secret,target=/etc/key", Mount("secret", "/etc/key", id="key", readonly=True)),
        ("type=secret,id=t,env=T", Mount("secret", "", id="t", readonly=True, env="T")),
        ("type=secret,id=t,env=T,target=f", Mount("secret", "/work/f", id="t", readonly=True, env="T")),
        ("type=ssh", Mount("ssh", "/run/buildkit/ssh_agent.0", id="default", readonly=True)),
        ("type=ssh,mode=0600,gid=5,target=/a", Mount("ssh", "/a", id="default", readonly=True, mode=0o600, gid=5)),
        ("type=tmpfs,target=/t", Mount("tmpfs", "/t")),
        ("type=tmpfs,target=/t,size=1.5gib", Mount("tmpfs", "/t", size=3 * 2**29)),
        ("type=tmpfs,target=/t,size=100", Mount("tmpfs", "/t", size=100)),
        ("type=tmpfs,target=/t,size=10 KB", Mount("tmpfs", "/t", size=10240)),
    ],
)  # fmt: skip
def test_a_mount_is_read(text: str, mount: Mount) -> None:
    assert read(text) == mount


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("target", "must be a key=value pair"), ("type=volume,target=/x", 'unsupported mount type "volume"'),
        ("tipe=bind", "unexpected key 'tipe'"), ("target=/", "invalid mount target"), ('"', "csv"),
        ("type=cache,target=/x,sharing=mine", "unsupported sharing"),
        ("target=/x,ro=maybe", "invalid value for readonly"),
        ("type=cache,target=/x,mode=9", "for mode"), ("type=cache,target=/x,mode=10000", "for mode"),
        ("type=cache,target=/x,uid=-1", "for uid"), ("type=cache,target=/x,gid=4294967295", "for gid"),
        ("type=tmpfs,target=/x,size=lots", "for size"), ("type=tmpfs,target=/x,size=99999999p", "for size"),
        ("type=secret", "one of source, target required"), ("type=secret,id=a,src=b", "both source and id"),
        ("target=/x,required", "unexpected key 'required' for mount type 'bind'"),
        ("type=ssh,env=X", "unexpected key 'env'"), ("type=secret,id=a,required=2", "invalid value for required"),
    ],
)  # fmt: skip
def test_a_mount_that_can_not_be_is_refused(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        read(text)


def test_a_misspelt_option_is_suggested() -> None:
    with pytest.raises(Invalid) as caught:
        read("type=cache,targt=/x")

    assert caught.value.hint == "Did you mean target?"
    with pytest.raises(Invalid) as caught:
        read("zzz=1")
    assert caught.value.hint is None


def test_agents_are_numbered() -> None:
    assert read("type=ssh", MountPlace("/", 2)).target == "/run/buildkit/ssh_agent.2"


def test_the_source_is_known_before_the_rest() -> None:
    assert mount_source("from=tools,target=$X") == "tools"
    assert mount_source("target=/x") == mount_source("from,target=/x") == mount_source("") == ""
    assert mount_source("type=cache,from=a,target=/x") == mount_source("type=$T,from=a") == "a"
    assert mount_source("type=tmpfs,from=a") == mount_source("type=Secret,from=a") == ""
    with pytest.raises(Invalid, match="variable expansion"):
        mount_source("from=$X")


@given(
    st.text() | st.lists(st.sampled_from([*'=,"/1a ', "type=", "cache", "target=/x", "size=", "mode="])).map("".join)
)
def test_any_text_is_a_mount_or_invalid(text: str) -> None:
    try:
        found = read(text)
    except Invalid:
        return

    assert found.target.startswith("/") or found.env
