"""Trees of any depth are removed, and nothing else."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from dockyard.content.tree_removal import remove_tree


def make_deep(top: Path, depth: int) -> None:
    """Folders in folders, each with a file, deeper than a path can say."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 100, dir_fd=here)
        os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=here))
        inner = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_a_tree_deeper_than_a_path_can_say_is_removed_with_few_open_files(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    make_deep(tmp_path / "t", 1500)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 16, before[1]))
    try:
        remove_tree(tmp_path / "t")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert os.listdir(tmp_path) == []


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    (tmp_path / "t/a/b").mkdir(parents=True)
    for place in ("t", "t/a", "t/a/b"):
        os.symlink(tmp_path / "kept", tmp_path / place / "link")
        os.mkfifo(tmp_path / place / "pipe")
    remove_tree(tmp_path / "t")

    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["kept", "file"]
    os.symlink("kept", tmp_path / "link")
    with pytest.raises(OSError):
        remove_tree(tmp_path / "link")


def test_names_like_those_that_folders_are_moved_to_are_no_trouble(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"t/.{number}/x/y").mkdir(parents=True)
        (tmp_path / f"t/.{number}/x/y/.{number}").write_text("x")
        (tmp_path / f"t/.{number + 10}").write_text("x")
    for number in range(50):
        (tmp_path / f"t/wide/{number}/in").mkdir(parents=True)
    remove_tree(tmp_path / "t")

    assert os.listdir(tmp_path) == []


def test_what_is_no_folder_is_left(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(NotADirectoryError):
        remove_tree(tmp_path / "f")
    with pytest.raises(FileNotFoundError):
        remove_tree(tmp_path / "none")

    assert (tmp_path / "f").exists()
