"""Which steps have the same key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dockyard.dockerfile.instructions import Location
from dockyard.dockerfile.keys import step_key
from dockyard.dockerfile.steps import Action, CopyAction, FolderAction, Mount, Origin, RunAction, Step, Where
from dockyard.oci.digest import Digest
from dockyard.oci.platform import Platform

LINUX = Platform("linux", "amd64")
RUN = RunAction(("sh", "-c", "make"), (("A", "1"), ("B", "2")), "", "/", (Mount("secret", "/run/secrets/s", id="s"),))
COPY = CopyAction(Origin(Where.STAGE, stage=1), ("a",), "/b", (("f", b"\xff"),))


def key(
    action: Action | None = RUN,
    *,
    layers: tuple[bytes, ...] = (b"1", b"2"),
    platform: Platform = LINUX,
    inputs: tuple[str, ...] = ("x",),
    epoch: int | None = None,
) -> str:
    step = Step(Location(1, 1), "text", "history", {"Env": []}, action)
    diff_ids = [Digest.of(layer) for layer in layers]
    return step_key(diff_ids=diff_ids, platform=platform, step=step, inputs=inputs, epoch=epoch)


def test_a_key_is_the_same_on_every_machine() -> None:
    assert key() == "dcc14b4d36209228771b770667006bdcb47728c366f6c79304047e024801cd6c"
    assert key(COPY) == key(COPY) != key()


@pytest.mark.parametrize(
    "change",
    [
        {"words": ("sh", "-c", "make all")}, {"env": (("A", "1"), ("B", "3"))}, {"user": "app"}, {"workdir": "/x"},
        {"mounts": ()}, {"network": "none"}, {"security": "insecure"}, {"scripts": (("/dev/pipes/x", "x"),)},
        {"mounts": (Mount("secret", "/run/secrets/s", id="t"),)},
    ],
)  # fmt: skip
def test_what_decides_a_run_is_in_its_key(change: dict[str, object]) -> None:
    assert key(replace(RUN, **change)) != key()


@pytest.mark.parametrize(
    "change",
    [
        {"sources": ("b",)}, {"destination": "/c"}, {"inline": (("f", b"\xfe"),)}, {"add": True}, {"chown": "1"},
        {"chmod": "1"}, {"link": True}, {"parents": True}, {"excludes": ("x",)}, {"checksum": "x"},
        {"keep_git_dir": True}, {"unpack": False},
    ],
)  # fmt: skip
def test_what_decides_a_copy_is_in_its_key(change: dict[str, object]) -> None:
    assert key(replace(COPY, **change)) != key(COPY)


def test_where_files_come_from_is_not_in_a_key() -> None:
    elsewhere = replace(COPY, origin=Origin(Where.IMAGE, "alpine"))
    bind = replace(RUN, mounts=(Mount("bind", "/x", Origin(Where.STAGE, stage=1)),))
    bound_elsewhere = replace(RUN, mounts=(Mount("bind", "/x", Origin(Where.STAGE, stage=2)),))

    assert key(elsewhere) == key(COPY)
    assert key(bound_elsewhere) == key(bind)


def test_proxies_are_in_no_key() -> None:
    env = (*RUN.env, ("HTTP_PROXY", "http://secret@p"))

    assert key(replace(RUN, env=env, transient=("HTTP_PROXY",))) == key()
    assert key(replace(RUN, env=env)) != key()


def test_all_around_a_step_is_in_its_key() -> None:
    keys = {
        key(), key(layers=(b"2", b"1")), key(layers=(b"1",)), key(platform=Platform("linux", "arm64")),
        key(platform=Platform("windows", "amd64", os_version="10.0.1")),
        key(platform=Platform("windows", "amd64", os_version="10.0.2")), key(inputs=("y",)), key(inputs=()),
        key(epoch=0), key(epoch=1), key(FolderAction("/x")), key(FolderAction("/y")), key(FolderAction("/x", "1")),
        key(None),
    }  # fmt: skip

    assert len(keys) == 14
