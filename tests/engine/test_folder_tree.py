"""A folder as a tree that can't be left: not by links, not by names, not by what happens to it meanwhile."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from dockyard.content.tar import Kind
from dockyard.dockerfile.ignore import IgnoreRules
from dockyard.engine.folder_tree import FolderTree
from dockyard.engine.selected_tree import SelectedTree
from dockyard.engine.stack_tree import StackTree
from dockyard.errors import BuildFailed, NotFound


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_text("inside")
    (root / "abs").symlink_to("/a/b")
    (root / "rel").symlink_to("../../../../a/./b/..")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "a/up").symlink_to("../../secret")
    return root


def content(tree: FolderTree, path: str) -> bytes:
    with tree.open(path) as file:
        return file.read()


def test_links_are_followed_by_text_and_inside(root: Path) -> None:
    tree = FolderTree(root)

    assert tree.real("abs/file") == "a/b/file"
    assert tree.real("rel/b/file") == "a/b/file"
    assert tree.real("rel/none/at/all") == "a/none/at/all"
    assert tree.real("a/up") == "secret"
    assert tree.lstat(tree.real("out")) is None
    assert content(tree, tree.real("abs/file")) == b"inside"


def test_nothing_is_read_through_a_link(root: Path) -> None:
    tree = FolderTree(root)

    for path in ("out", "a/up", "abs/file", "rel/b/file", "none", "a/b", "a/b/file/x"):
        with pytest.raises((NotFound, BuildFailed)):
            tree.open(path)
    assert tree.lstat("abs/file") is None
    assert (tree.lstat("abs") or pytest.fail()).kind is Kind.SYMLINK


def test_a_walk_gives_parents_first_sorted_and_without_sockets_and_pipes(root: Path) -> None:
    os.mkfifo(root / "a/pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(root / "a", os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
        tree = FolderTree(root)

        assert [found.path for found in tree.walk("")] == ["a", "a/b", "a/b/file", "a/up", "abs", "out", "rel"]
        assert tree.list("a") == ["b", "up"]
        assert tree.lstat("a/pipe") is None


def test_names_that_are_no_text_are_kept(root: Path) -> None:
    name = os.fsdecode(b"caf\xe9\n")
    (root / name).write_text("x")
    tree = FolderTree(root)

    assert name in tree.list("")
    assert content(tree, name) == b"x"


def test_a_folder_swapped_for_a_link_never_leads_out(root: Path) -> None:
    outside = root.parent / "outside"
    (outside / "b").mkdir(parents=True)
    (outside / "b/file").write_text("canary")
    (root / "link").symlink_to(outside)
    tree, stop = FolderTree(root), threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "a", root / "spare")
            os.rename(root / "link", root / "a")
            os.rename(root / "a", root / "link")
            os.rename(root / "spare", root / "a")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                with tree.open("a/b/file") as file:
                    seen.add(file.read())
                seen |= {found.path for found in tree.walk("") if "outside" in found.path}
            except (NotFound, BuildFailed):
                continue
    finally:
        stop.set()
        thread.join()

    assert seen == {b"inside"}


def test_folders_that_are_far_too_deep_are_refused(root: Path) -> None:
    (root / Path(*["d"] * 200)).mkdir(parents=True)
    assert len(FolderTree(root).walk("d")) == 199
    (root / Path(*["d"] * 300)).mkdir(parents=True)

    for tree in (FolderTree(root), StackTree([root])):
        with pytest.raises(BuildFailed, match="more than 250 deep"):
            tree.walk("")


def test_a_pipe_in_a_files_place_does_not_make_anybody_wait(root: Path) -> None:
    tree = FolderTree(root)
    found = tree.look("a/b/file")
    (root / "a/b/file").unlink()
    os.mkfifo(root / "a/b/file")

    with tree.reader() as reader, pytest.raises(BuildFailed, match="changed while it was read"):
        reader.open(found or pytest.fail())


def test_ignored_files_are_not_there_and_folders_only_for_what_is_taken_again(root: Path) -> None:
    (root / "a/b/keep").write_text("")
    (root / "c/d").mkdir(parents=True)
    (root / "c/d/x").write_text("")
    tree = SelectedTree(FolderTree(root), IgnoreRules.parse("a\n!a/b/keep\nc\n!c/none\n"))

    assert [found.path for found in tree.walk("")] == ["a", "a/b", "a/b/keep", "abs", "out", "rel"]
    assert [found.path for found in tree.walk("a/b")] == ["a/b/keep"]
    assert tree.list("") == ["a", "abs", "out", "rel"]
    assert tree.look("c") is None
    assert tree.lstat("a/b/file") is None
    with pytest.raises(NotFound):
        tree.open("a/b/file")
