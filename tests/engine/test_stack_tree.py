"""Unpacked layers as one tree: what the kernel's overlayfs shows of the same folders is what is expected."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from dockyard.content.layers import Entry
from dockyard.content.tar import Kind
from dockyard.content.trees import Node
from dockyard.engine.index_tree import IndexTree
from dockyard.engine.stack_tree import StackTree
from dockyard.errors import NotFound


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for folder in (one / "d/e", one / "opaque/x", one / "gone/x", two / "d", two / "opaque", three / "d"):
        folder.mkdir(parents=True)
    (one / "d/e/low").write_text("low")
    (one / "d/f").write_text("one")
    (one / "opaque/x/old").write_text("old")
    (one / "file").write_text("hidden by a folder")
    (one / "bin").symlink_to("d/e")
    (two / "d/f").write_text("two")
    (two / "opaque/new").write_text("new")
    os.setxattr(two / "opaque", "trusted.overlay.opaque", b"y")
    os.mknod(two / "gone", stat.S_IFCHR, 0)
    (two / "file").mkdir()
    os.mknod(three / "d/f", stat.S_IFCHR, 0)
    (three / "d/e").symlink_to("/opaque")
    (three / "gone").write_text("back")
    return [one, two, three]


def shown(tree: StackTree) -> dict[str, tuple[int, str, bytes]]:
    return {
        found.path: (found.status.st_mode, found.link, content(tree, found.path) if found.is_file else b"")
        for found in tree.walk("")
    }


def content(tree: StackTree, path: str) -> bytes:
    with tree.open(path) as file:
        return file.read()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_it_shows_what_overlayfs_shows(layers: list[Path], tmp_path: Path, count: int) -> None:
    mounted = tmp_path / "mounted"
    for name in ("mounted", "upper", "work"):
        (tmp_path / name).mkdir()
    lower = ":".join(map(str, reversed(layers[:count])))
    options = f"lowerdir={lower},upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, mounted], check=True)
    try:
        expected = {}
        for folder, folders, files in os.walk(mounted):
            for name in (*folders, *files):
                path = Path(folder, name)
                status = path.lstat()
                content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
                link = os.readlink(path) if path.is_symlink() else ""
                expected[str(path.relative_to(mounted))] = (status.st_mode, link, content)
    finally:
        subprocess.run(["umount", mounted], check=True)

    assert shown(StackTree(layers[:count])) == expected


def test_links_are_followed_across_layers(layers: list[Path]) -> None:
    tree = StackTree(layers)

    assert tree.real("bin/new") == "opaque/new"
    assert StackTree(layers[:2]).real("bin/low") == "d/e/low"
    assert content(tree, "opaque/new") == b"new"
    assert tree.list("opaque") == ["new"]
    assert tree.lstat("opaque/x") is None
    for path in ("d/f", "bin", "opaque", "d/e/new"):
        with pytest.raises(NotFound):
            tree.open(path)


def test_no_layers_are_an_empty_tree() -> None:
    tree = StackTree([])

    assert tree.walk("") == []
    assert tree.lstat("x") is None


def entries(**nodes: Node) -> list[Entry]:
    return [Entry(name.replace("__", "/"), node) for name, node in nodes.items()]


FOLDER, FILE = Node(Kind.FOLDER, 0o755, type=b"5"), Node(Kind.FILE, 0o644)


def test_an_index_of_layers_hides_what_whiteouts_remove() -> None:
    base = entries(a=FOLDER, a__x=FILE, a__y=FILE, b=FOLDER, b__x=FILE, c=FILE)
    upper = [
        Entry("a/new", FILE), Entry("a/.wh..wh..opq", FILE), Entry("b/.wh.x", FILE), Entry(".wh.c", FILE),
        Entry("c", FOLDER), Entry("deep/in/file", FILE),
    ]  # fmt: skip
    tree = IndexTree([base, upper])

    assert tree.list("") == ["a", "b", "c", "deep"]
    assert tree.list("a") == ["new"]
    assert tree.list("b") == []
    assert (tree.lstat("c") or pytest.fail()).kind is Kind.FOLDER
    assert (tree.lstat("deep/in") or pytest.fail()).kind is Kind.FOLDER
    assert tree.lstat("b/x") is None


def test_in_an_index_a_file_takes_a_folders_place_and_hardlinks_are_files() -> None:
    hard = Node(Kind.HARDLINK, 0o644, link="c", type=b"1")
    tree = IndexTree([entries(a=FOLDER, a__x=FILE), entries(a=FILE, h=hard)], {"etc/passwd": b"text"})

    assert tree.lstat("a/x") is None
    assert (tree.lstat("h") or pytest.fail()).kind is Kind.FILE
    with pytest.raises(NotFound):
        tree.open("etc/passwd")  # no layer has it any more
