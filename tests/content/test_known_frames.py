"""Frames of an earlier layer are used again: less is read, and what comes out is the same to the byte."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.content.files import BlobFiles
from dockyard.content.known_frames import KnownFrames, Lazy, save_table
from dockyard.content.layers import Entry, LayerWriter
from dockyard.content.tar import Kind
from dockyard.content.trees import Node
from dockyard.errors import Conflict, DigestInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dockyard.content.frames import Compression
    from dockyard.content.layers import Layer


class Files:
    """Contents by path, and which of them were opened."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.contents = contents
        self.opened: set[str] = set()

    def lazy(self, path: str) -> Lazy:
        def opener() -> io.BytesIO:
            self.opened.add(path)
            return io.BytesIO(self.contents[path])

        return Lazy(opener, hashlib.sha256(self.contents[path]).digest())


class Store:
    def __init__(self, folder: Path, compression: Compression = "gzip") -> None:
        self.files, self.folder, self.compression = BlobFiles(folder), folder, compression

    def table(self, layer: Layer) -> Path:
        return self.folder / "tables" / layer.digest.hex

    def write(self, files: Files, known: KnownFrames | None) -> Layer:
        with (
            self.files.create() as blob,
            LayerWriter(blob, self.compression, known=known) as writer,
        ):
            for path in sorted(files.contents):
                node = Node(Kind.FILE, 0o644, size=len(files.contents[path]))
                writer.add(Entry(path, node), files.lazy(path))
            layer = writer.finish()
            blob.commit()
        if layer.frames:
            save_table(self.table(layer), layer.frames)
        return layer

    def known(self, layer: Layer) -> KnownFrames:
        return KnownFrames.load(self.table(layer), self.files.path(layer.digest))


def many(count: int = 400, size: int = 3000) -> dict[str, bytes]:
    return {f"d/{number:05}": hashlib.sha256(b"%d" % number).digest() * (size // 32) for number in range(count)}


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("place", [0, 200, 399])
def test_only_the_frame_of_a_changed_file_is_read(tmp_path: Path, compression: Compression, place: int) -> None:
    store, contents = Store(tmp_path, compression), many()
    first = store.write(Files(contents), KnownFrames())
    changed = Files({**contents, f"d/{place:05}": b"other"})
    with store.known(first) as known:
        second = store.write(changed, known)
    plain = store.write(Files(changed.contents), None)

    assert f"d/{place:05}" in changed.opened
    assert len(changed.opened) < 150
    assert (second.digest, second.diff_id, second.unpacked_size) == (plain.digest, plain.diff_id, plain.unpacked_size)


def test_nothing_is_read_where_nothing_changed(tmp_path: Path) -> None:
    store, files = Store(tmp_path), Files(many())
    first = store.write(files, KnownFrames())
    again = Files(files.contents)
    with store.known(first) as known:
        second = store.write(again, known)

    assert again.opened == set()
    assert (second.digest, second.diff_id) == (first.digest, first.diff_id)
    assert second.frames == first.frames


sizes = st.sampled_from([0, 1, 511, 512, 5000, 70_000, 262_144, 262_145, 600_000])
trees = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.tuples(sizes, st.integers(0, 3)), max_size=12)


@pytest.mark.slow
@given(trees, trees)
def test_what_comes_out_does_not_depend_on_what_is_known(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    one, two = ({path: b"%d" % salt * size for path, (size, salt) in tree.items()} for tree in (before, after))
    first = store.write(Files(one), KnownFrames())
    with store.known(first) as known:
        second = store.write(Files(two), known)
    plain = store.write(Files(two), None)

    assert (second.digest, second.diff_id, second.size) == (plain.digest, plain.diff_id, plain.size)


@pytest.mark.parametrize("place", ["d/00000", "d/00399"])
def test_a_damaged_layer_is_not_copied_on(tmp_path: Path, place: str) -> None:
    store, contents = Store(tmp_path), many()
    first = store.write(Files(contents), KnownFrames())
    path = store.files.path(first.digest)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    with store.known(first) as known, pytest.raises(DigestInvalid, match="damaged") as caught:
        store.write(Files({**contents, place: b"other"}), known)

    assert "builder prune" in (caught.value.hint or "")


@pytest.mark.parametrize("damage", [b"", b"x", b"dockyard frames2", b"dockyard frames2\0\0" + b"y" * 25])
def test_a_table_that_can_not_be_read_is_as_none(tmp_path: Path, damage: bytes) -> None:
    store, contents = Store(tmp_path), many(50)
    first = store.write(Files(contents), KnownFrames())
    store.table(first).write_bytes(damage)
    files = Files(contents)
    with store.known(first) as known:
        second = store.write(files, known)

    assert files.opened == set(contents)
    assert second.digest == first.digest


@pytest.mark.parametrize("content", [b"", b"short", b"far longer than what was said"])
def test_a_file_that_is_not_as_long_as_was_said_is_refused(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    with (
        store.files.create() as blob,
        LayerWriter(blob, known=KnownFrames()) as writer,
        pytest.raises(Conflict, match="changed while it was read"),
    ):
        writer.add(Entry("a", Node(Kind.FILE, 0o644, size=10)), Lazy(lambda: io.BytesIO(content), b"x" * 32))
        writer.finish()

    assert not (tmp_path / "blobs").exists()


@pytest.mark.parametrize("changed", [False, True])
def test_files_that_are_copied_stand_where_they_belong_among_others(tmp_path: Path, changed: bool) -> None:
    store = Store(tmp_path)

    def write(known: KnownFrames | None, copied: bytes) -> tuple[Layer, Path]:
        files = Files({"a": b"a" * 1000, "c": b"c" * 1000})
        with store.files.create() as blob, LayerWriter(blob, known=known) as writer:
            for number in range(40):
                for name, data in (("a", files.lazy("a")), ("b", io.BytesIO(copied)), ("c", b"c" * 1000)):
                    writer.add(Entry(f"{number}/{name}", Node(Kind.FILE, 0o644, size=1000)), data)
            layer = writer.finish()
            blob.commit()
        return layer, store.files.path(layer.digest)

    with KnownFrames() as nothing:
        first, blob = write(nothing, b"b" * 1000)
    save_table(store.table(first), first.frames)
    copied = (b"B" if changed else b"b") * 1000
    with KnownFrames.load(store.table(first), blob) as known:
        again, _ = write(known, copied)
    plain, _ = write(None, copied)

    assert (again.digest, again.diff_id) == (plain.digest, plain.diff_id)
    assert (again.digest == first.digest) != changed
