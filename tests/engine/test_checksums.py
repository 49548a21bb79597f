"""The memory of checksums: what did not change is not read again, and nothing that changed is taken for the same."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dockyard.engine import checksums
from dockyard.engine.checksums import Checksums
from dockyard.engine.folder_tree import FolderTree
from dockyard.engine.walking import Found
from dockyard.errors import BuildFailed

Fill = Callable[..., dict[str, str]]
LATER = 10**10


class Reads(FolderTree):
    """Counts the files that are read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.count = 0

    def enter(self, path: str) -> int:
        self.count += 1
        return super().enter(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    for number in range(200):
        (root / f"d/{number}").write_text(str(number))
    return root


@pytest.fixture
def fill(root: Path, tmp_path: Path) -> Fill:
    def filler(after: int = LATER) -> dict[str, str]:
        tree = FolderTree(root)
        found = tree.walk("")
        Checksums(tmp_path / "sums", clock=lambda: time.time_ns() + after).fill(tree, found)
        return {one.path: one.digest.hex() for one in found if one.is_file}

    return filler


def hashed(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_each_file_gets_the_sha256_of_its_content(root: Path, fill: Fill) -> None:
    (root / "big").write_bytes(os.urandom(3_000_000))

    assert fill() == hashed(root)
    assert fill() == hashed(root)


def test_what_is_remembered_is_not_read_again(root: Path, tmp_path: Path) -> None:
    counts = []
    for _ in range(3):
        tree = Reads(root)
        found = tree.walk("")
        tree.count = 0
        Checksums(tmp_path / "sums", clock=lambda: time.time_ns() + LATER).fill(tree, found)
        counts.append(tree.count)

    assert counts[0] > 0
    assert counts[1:] == [0, 0]


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_changed_file_is_seen_though_its_size_and_time_are_the_same(root: Path, fill: Fill, keep_time: bool) -> None:
    fill()
    path = root / "d/7"
    before = path.stat()
    path.write_text("x")
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert fill() == hashed(root)
    path.with_name("new").write_text("y")
    path.with_name("new").rename(path)
    assert fill() == hashed(root)


def test_a_file_that_was_just_changed_is_read_again(root: Path, tmp_path: Path) -> None:
    sums = Checksums(tmp_path / "sums", clock=time.time_ns)
    (root / "d/fresh").write_text("1")
    tree = FolderTree(root)
    sums.fill(tree, tree.walk(""))
    again: list[Found] = tree.walk("")
    recalled = Checksums(tmp_path / "sums")._memory(tree.name)

    assert not any(recalled.recall(one) for one in again if one.path == "d/fresh")


@pytest.mark.parametrize("damage", [b"", b"x", b"dockyard sums 1\n" + bytes(100), None])
def test_a_damaged_memory_is_as_none(root: Path, tmp_path: Path, fill: Fill, damage: bytes | None) -> None:
    fill()
    (path,) = (tmp_path / "sums").iterdir()
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw) if damage is None else damage)

    assert fill() == hashed(root)


def test_a_file_that_becomes_another_before_it_is_read_ends_the_build(root: Path, tmp_path: Path) -> None:
    tree = FolderTree(root)
    found = tree.walk("")
    (root / "d/7").write_text("longer than before")

    with pytest.raises(BuildFailed, match="/d/7 changed while it was read"):
        Checksums(tmp_path / "sums").fill(tree, found)


def test_the_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "MOST_FILES", 3)
    for number in range(5):
        root = tmp_path / f"root{number}"
        root.mkdir()
        (root / "file").write_text("x")
        tree = FolderTree(root)
        Checksums(tmp_path / "sums", clock=lambda: time.time_ns() + LATER).fill(tree, tree.walk(""))

    assert len(list((tmp_path / "sums").iterdir())) == 3
