"""The index of a layer: the same from writing and from reading, and small when it is kept."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_layers import file, folder, hardlink, special, symlink, write

from dockyard.content.index import LayerIndex
from dockyard.content.layers import Entry
from dockyard.content.tar import Kind
from dockyard.content.trees import Node
from dockyard.errors import ArchiveInvalid, Unavailable

NS = 1_000_000_000
SAMPLE: list[Any] = [
    folder("etc"), file("etc/passwd", b"root:x:0:0\n", mode=0o100644), file("etc/group", b"root:x:0:\n"),
    file("a", b"x" * 5000, mtime=5 * NS + 7, uid=3, xattrs={"user.x": b"\0", "security.capability": b"abc"}),
    hardlink("b", "a"), symlink("c", "/a/../b"), symlink("d/" + "e" * 120, "x" * 200), special("null", b"3", (1, 3)),
    special("pipe", b"6"), file("etc/.wh.gone"), file("etc/.wh..wh..opq"), file("caf\udce9"),
]  # fmt: skip


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("windows", [False, True])
def test_scanning_a_layer_finds_what_its_writer_said(tmp_path: Path, compression: str, windows: bool) -> None:
    made = write(tmp_path, SAMPLE, compression, windows=windows)
    found = LayerIndex.scan(made.blob)

    assert list(found.entries) == made.layer.index
    assert found.texts == made.layer.texts
    assert windows or found.texts == {"etc/passwd": b"root:x:0:0\n", "etc/group": b"root:x:0:\n"}


def test_a_saved_index_is_read_again(tmp_path: Path) -> None:
    made = write(tmp_path, SAMPLE)
    index = LayerIndex(made.layer.index, made.layer.texts)
    index.save(tmp_path / "deep/index")

    assert LayerIndex.load(tmp_path / "deep/index") == index
    assert os.listdir(tmp_path / "deep") == ["index"]


@pytest.mark.parametrize("entries", [[], [Entry("", Node(Kind.FOLDER, 0o755, type=b"5"))]])
def test_an_index_of_nothing_is_read_again(tmp_path: Path, entries: list[Entry]) -> None:
    LayerIndex(entries).save(tmp_path / "index")

    assert LayerIndex.load(tmp_path / "index") == LayerIndex(entries)


nodes = st.builds(
    Node, st.sampled_from(Kind), st.integers(0, 0o7777), st.integers(0, 2**31), st.integers(0, 2**31),
    st.integers(-(2**62), 2**62), st.integers(0, 2**56),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    st.tuples(st.integers(0, 2**20), st.integers(0, 2**20)), st.dictionaries(st.text(max_size=9), st.binary()),
    st.binary(min_size=1, max_size=1),
)  # fmt: skip
plain = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.builds(Entry, plain, nodes)), st.dictionaries(st.sampled_from(["etc/passwd"]), st.binary()))
def test_every_index_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], texts: dict[str, bytes]
) -> None:
    path = tmp_path_factory.mktemp("index") / "index"
    LayerIndex(entries, texts).save(path)

    assert LayerIndex.load(path) == LayerIndex(entries, texts)


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "changed", "other", "folder"])
def test_an_index_that_cannot_be_read_is_none(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "index"
    LayerIndex(write(tmp_path, SAMPLE).layer.index).save(path)
    raw = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.touch()
        case "cut":
            path.write_bytes(raw[:-9])
        case "changed":
            path.write_bytes(raw[:50] + bytes([raw[50] ^ 1]) + raw[51:])
        case "other":
            path.write_bytes(b"something else")
        case "folder":
            path.mkdir()

    assert LayerIndex.load(path) is None


def test_an_index_is_small(tmp_path: Path) -> None:
    entries = [entry for n in range(2000) for entry, _ in [file(f"usr/lib/python3/package{n // 50}/module{n}.py")]]
    LayerIndex(entries).save(tmp_path / "index")

    assert (tmp_path / "index").stat().st_size < 20 * len(entries)


def tar(*names: str, links: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            archive.addfile(member)
    return out.getvalue()


def test_names_from_elsewhere_are_made_plain(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(tar("./a//b", "/c", "d/../e", "./", links={"l": "./a/b"}))
    found = LayerIndex.scan(tmp_path / "layer").entries

    assert [entry.path for entry in found] == ["a/b", "c", "e", "", "l"]
    assert found[-1].node.link == "a/b"


@pytest.mark.parametrize("data", [tar("../x"), tar("a", links={"l": "../../etc/shadow"}), b"no tar", tar("a")[:300]])
def test_a_layer_that_climbs_out_or_is_none_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "layer").write_bytes(data)
    with pytest.raises(ArchiveInvalid):
        LayerIndex.scan(tmp_path / "layer")


def test_a_layer_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        LayerIndex.scan(tmp_path / "layer")


def test_the_last_of_several_passwd_files_counts(tmp_path: Path) -> None:
    made = write(tmp_path, [file("etc/passwd", b"first"), file("etc/passwd", b"second")])

    assert LayerIndex.scan(made.blob).texts == made.layer.texts == {"etc/passwd": b"second"}
    linked = write(tmp_path, [file("etc/passwd", b"first"), symlink("etc/passwd", "elsewhere")])

    assert LayerIndex.scan(linked.blob).texts == linked.layer.texts == {}
