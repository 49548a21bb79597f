"""Whiteouts: golden trees, written by hand, and umoci's where it agrees with docker and containerd."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from content.layer_tars import (
    file,
    folder,
    hardlink,
    header,
    layer,
    names,
    opaque,
    symlink,
    tree,
    umoci_tree,
    whiteout,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dockyard.content.tree_removal import remove_tree
from dockyard.content.unpack import apply_layer, settle_layer
from dockyard.errors import ArchiveInvalid

pytestmark = pytest.mark.slow


@dataclass
class Case:
    """Layers, the tree of them all, and the folder of the last one; ``umoci`` where it makes the same tree."""

    layers: list[bytes]
    whole: list[str]
    last: list[str]
    umoci: bool = True


CASES = {
    "a whiteout removes a file, and marks it": Case(
        [layer(file("a", "1"), file("b", "1")), layer(whiteout("a"))],
        ["b 1"],
        ["-a"],
    ),
    "a whiteout removes a folder with all in it": Case(
        [layer(file("d/e/f", "1"), file("b", "1")), layer(whiteout("d"))],
        ["b 1"],
        ["-d"],
    ),
    "a whiteout of a link removes the link": Case(
        [layer(file("t/x", "1"), symlink("s", "t")), layer(whiteout("s"))],
        ["t/", "t/x 1"],
        ["-s"],
    ),
    "a whiteout below a link of its own layer follows it": Case(
        [layer(file("t/x", "1"), file("t/y", "1")), layer(symlink("s", "t"), whiteout("s/x"))],
        ["s -> t", "t/", "t/y 1"],
        ["s -> t", "t/", "-t/x"],
    ),
    "a whiteout of what is not there is nothing": Case(
        [layer(file("a", "1")), layer(whiteout("none"), whiteout("no/such"))],
        ["a 1", "no/"],
        ["no/", "-no/such", "-none"],
        umoci=False,  # it makes no folder
    ),
    "what a layer has after its whiteout stays": Case(
        [
            layer(file("a", "1"), file("d/old", "1")),
            layer(whiteout("a"), file("a", "2"), whiteout("d"), file("d/new", "2")),
        ],
        ["a 2", "d/", "d/new 2"],
        ["a 2", "d/ opaque", "d/new 2"],
    ),
    "what a layer has before its whiteout goes": Case(
        [layer(file("a", "1"), file("b", "1")), layer(file("a", "2"), file("d/x", "2"), whiteout("a"), whiteout("d"))],
        ["b 1"],
        ["-a", "-d"],
        umoci=False,  # it keeps them, as the specification has it; docker, containerd and podman remove them
    ),
    "an opaque folder hides what is below, and nothing of its own layer": Case(
        [
            layer(file("d/a", "1"), file("d/s/b", "1"), file("d/s/c", "1"), file("e", "1")),
            layer(file("d/new", "2"), file("d/s/c", "2"), opaque("d"), file("d/new2", "2")),
        ],
        ["d/", "d/new 2", "d/new2 2", "d/s/", "d/s/c 2", "e 1"],
        ["d/ opaque", "d/new 2", "d/new2 2", "d/s/", "d/s/c 2"],
    ),
    "an opaque whiteout before its folder": Case(
        [layer(file("d/a", "1")), layer(opaque("d"), folder("d", 0o700), file("d/b", "2"))],
        ["d/", "d/b 2"],
        ["d/ opaque", "d/b 2"],
    ),
    "an opaque root hides everything": Case(
        [layer(file("a", "1"), file("d/b", "1")), layer(file("d/new", "2"), file(".wh..wh..opq"), file("n", "2"))],
        ["d/", "d/new 2", "n 2"],
        ["d/", "d/new 2", "n 2"],
    ),
    "an opaque folder that no lower layer has": Case(
        [layer(file("a", "1")), layer(opaque("d"))],
        ["a 1", "d/"],
        ["d/ opaque"],
        umoci=False,  # it makes no folder
    ),
    "a file becomes a folder, a folder a file": Case(
        [layer(file("a", "1"), file("d/x", "1")), layer(folder("a"), file("a/x", "2"), file("d", "2"))],
        ["a/", "a/x 2", "d 2"],
        ["a/", "a/x 2", "d 2"],
    ),
    "a link becomes a folder, a folder a link": Case(
        [
            layer(folder("t"), symlink("s", "t"), file("d/x", "1")),
            layer(folder("s"), file("s/x", "2"), symlink("d", "t")),
        ],
        ["d -> t", "s/", "s/x 2", "t/"],
        ["d -> t", "s/", "s/x 2"],
    ),
    "whiteouts within a folder called like one": Case(
        [layer(file("d/a", "1")), layer(file("d/.wh.../x", "2"))],
        ["d/", "d/.wh.../", "d/.wh.../x 2", "d/a 1"],
        ["d/", "d/.wh.../", "d/.wh.../x 2"],
    ),
    "what aufs kept for itself is left out": Case(
        [
            layer(file("a", "1")),
            layer(folder(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", "2"), file("d/.wh..wh.aufs", "x")),
        ],
        ["a 1"],
        [],
        umoci=False,
    ),
    "a hardlink over a whiteout, and a name that only begins like one": Case(
        [layer(file("a", "1")), layer(whiteout("a"), file("b", "2"), hardlink("a", "b"), file(".whx", "2"))],
        [".whx 2", "a 2", "b 2"],
        [".whx 2", "a 2", "b 2"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_whiteouts(case: Case, tmp_path: Path) -> None:
    whole = apply(tmp_path / "whole", case.layers, "remove")
    apply(tmp_path / "last", case.layers[-1:], "overlay")

    assert whole == case.whole
    assert names(tmp_path / "last") == case.last
    if case.umoci:
        assert umoci_tree(case.layers, tmp_path) == case.whole


def test_an_opaque_root_is_marked(tmp_path: Path) -> None:
    apply(tmp_path / "fs", [layer(file(".wh..wh..opq"))], "overlay")

    assert os.getxattr(tmp_path / "fs", "trusted.overlay.opaque") == b"y"


@pytest.mark.parametrize("mode", ["overlay", "remove"])
@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh...", "/.wh.", "./.wh.."])
def test_a_whiteout_of_nothing_is_refused_and_removes_nothing(tmp_path: Path, name: str, mode: str) -> None:
    apply(tmp_path / "fs", [layer(file("d/a", "1"))], "remove")
    for content in (layer(file(name)), layer(folder(name)), layer(header(name, b"3"))):
        with pytest.raises(ArchiveInvalid, match="whiteout of nothing"):
            apply(tmp_path / "fs", [content], mode)

    assert names(tmp_path / "fs") == ["d/", "d/a 1"]


def test_an_opaque_whiteout_in_a_large_tree_keeps_what_its_layer_made_and_the_times_of_folders(tmp_path: Path) -> None:
    low = layer(*(file(f"d/{n}/{m}", "1") for n in range(20) for m in range(5)), folder("e", mtime=7), file("e/x", "1"))
    high = layer(*(file(f"d/{n}/new", "2", mtime=n) for n in range(0, 20, 2)), opaque("d"), folder("d", mtime=9))
    apply(tmp_path / "fs", [low, high], "remove")

    assert [name for name in names(tmp_path / "fs") if not name.endswith("/")] == sorted(
        [f"d/{n}/new 2" for n in range(0, 20, 2)] + ["e/x 1"]
    )
    assert (tmp_path / "fs/d").stat().st_mtime == 9 and (tmp_path / "fs/e").stat().st_mtime == 7


def test_marks_go_where_nothing_below_could_have_what_they_remove(tmp_path: Path) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    apply(low, [layer(file("d/a", "1"), file("o/a", "1"), file("f", "1"), symlink("l", "d"))], "overlay")
    high.mkdir()
    (tmp_path / "blob").write_bytes(
        layer(*map(whiteout, ("d/a", "d/none", "e/none", "l/a", "f", "o/a", "f/a")), opaque("o"), file("o/b", "2"))
    )
    applied = apply_layer(tmp_path / "blob", high, whiteouts="overlay")
    before = names(high)
    settle_layer(high, applied, [low])

    assert {"-e/none", "-l/a", "-o/a"} <= set(before)
    assert names(high) == ["d/", "-d/a", "-d/none", "e/", "f/ opaque", "l/", "o/ opaque", "o/b 2"]
    settle_layer(low, applied, [])
    assert names(low) == ["d/", "d/a 1", "f 1", "l -> d", "o/", "o/a 1"]


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_layers_stacked_by_overlayfs_are_the_tree_that_removing_makes(tmp_path: Path, data: st.DataObject) -> None:
    """What the two ways of unpacking leave is the same, as the kernel shows it."""
    paths = st.sampled_from(["a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/a/b", "b/a/b"])
    member = st.one_of(
        st.builds(lambda path, text: file(path, text), paths, st.sampled_from("xyz")),
        st.builds(lambda path, mode: folder(path, mode), paths, st.sampled_from([0o700, 0o711, 0o755])),
        st.builds(whiteout, paths),
    )
    # Opaque whiteouts first and the outer before the inner, as everybody writes them.
    part = st.tuples(st.sets(paths, max_size=2), st.lists(member, max_size=6))
    drawn = data.draw(st.lists(part, min_size=1, max_size=3))
    layers = [layer(*map(opaque, sorted(first)), *rest) for first, rest in drawn]
    work = tmp_path / "work"
    if work.exists():
        remove_tree(work)
    work.mkdir()
    whole = apply(work / "whole", layers, "remove", full=True)
    lowers: list[Path] = []
    for number, content in enumerate(layers):
        (work / f"{number}.blob").write_bytes(content)
        (work / f"{number}").mkdir()
        apply_layer(work / f"{number}.blob", work / f"{number}", whiteouts="overlay", lowers=lowers, sync=False)
        lowers.append(work / f"{number}")
    for name in ("merged", "empty"):
        (work / name).mkdir()
    stack = ":".join(str(path) for path in [work / "empty", *reversed(lowers)])
    subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={stack}", "none", work / "merged"], check=True)
    try:
        shown = [line.removesuffix(" opaque") for line in tree(work / "merged")]
    finally:
        subprocess.run(["umount", work / "merged"], check=True)

    assert shown == whole


def apply(target: Path, layers: list[bytes], whiteouts: str, *, full: bool = False) -> list[str]:
    target.mkdir(exist_ok=True)
    for content in layers:
        target.with_suffix(".blob").write_bytes(content)
        apply_layer(target.with_suffix(".blob"), target, whiteouts=whiteouts, sync=False)  # type: ignore[arg-type]
    return tree(target) if full else names(target)
