"""Unpacked layers: checked, made once, kept as long as somebody needs them, and seen as the image's files."""

from __future__ import annotations

import gzip
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from content.layer_tars import file, folder, layer, opaque, whiteout
from engine.containers import Runs, busybox

from dockyard.engine.images import Images
from dockyard.engine.snapshots import Snapshots, Stack
from dockyard.errors import ArchiveInvalid, DigestInvalid
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.image import chain_id
from dockyard.oci.platform import Platform

Layer = tuple[Descriptor, Digest]


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path / "store", Platform("linux", "amd64"))


def put(images: Images, *parts: bytes, raw: bytes | None = None) -> Layer:
    plain = layer(*parts) if raw is None else raw
    blob = gzip.compress(plain, mtime=0)
    images.make()
    images.files.put(blob, Digest.of(blob))
    return Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", Digest.of(blob), len(blob)), Digest.of(plain)


def names(images: Images) -> list[str]:
    found = (images.root / "snapshots").iterdir()
    return sorted(path.name for path in found if path.name != "locks")


def test_layers_are_unpacked_once_each_under_its_chain_id(images: Images) -> None:
    layers = [put(images, file("a", "1")), put(images, file("b", "2"), whiteout("a"))]
    first = Snapshots(images).ensure(layers)
    before = [os.stat(lower).st_ino for lower in first.lowers]
    again = Snapshots(images.session()).ensure(layers)

    assert first == again
    assert first.chain == chain_id([diff_id for _, diff_id in layers])
    assert before == [os.stat(lower).st_ino for lower in again.lowers]
    assert [sorted(os.listdir(lower)) for lower in first.lowers] == [["a"], ["a", "b"]]
    assert stat.S_ISCHR(os.lstat(first.lowers[1] / "a").st_mode)
    assert Snapshots(images).ensure([]) == Stack()


def test_the_same_layer_on_another_one_is_another_snapshot(images: Images) -> None:
    one, two = put(images, file("a")), put(images, file("b"))

    assert Snapshots(images).ensure([one, two]).lowers[1] != Snapshots(images).ensure([two]).lowers[0]


def test_a_layer_that_isnt_what_its_image_says_leaves_nothing(images: Images) -> None:
    good, bad = put(images, file("a")), put(images, file("b"))

    with pytest.raises(DigestInvalid, match="diff ID"):
        Snapshots(images).ensure([good, (bad[0], Digest.of(b"other"))])
    assert names(images) == []
    with pytest.raises(ArchiveInvalid):
        Snapshots(images).ensure([good, put(images, raw=b"no archive" * 100)])
    assert names(images) == []


def test_only_the_owner_can_look_into_snapshots(images: Images) -> None:
    before = os.umask(0)
    try:
        stack = Snapshots(images).ensure([put(images, folder("d", 0o777))])
    finally:
        os.umask(before)
    snapshot = stack.lowers[0].parent

    assert [stat.S_IMODE(path.stat().st_mode) for path in (snapshot, snapshot.parent)] == [0o700, 0o700]
    assert stat.S_IMODE(stack.lowers[0].stat().st_mode) == 0o755


def test_folders_that_a_layer_only_passes_through_are_as_below_also_the_root(images: Images) -> None:
    base = put(images, folder("./", 0o711), folder("tmp", 0o1777), file("tmp/a"))
    stack = Snapshots(images).ensure([base, put(images, file("tmp/b")), put(images, file("tmp/c"))])

    assert [stat.S_IMODE((lower / "tmp").stat().st_mode) for lower in stack.lowers] == [0o1777] * 3
    assert [stat.S_IMODE(lower.stat().st_mode) for lower in stack.lowers] == [0o711] * 3


@pytest.mark.slow
def test_many_processes_and_threads_unpack_a_layer_once(images: Images) -> None:
    layers = [put(images, *(file(f"{number}-{name}", "x" * 100) for name in range(300))) for number in range(6)]
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from engine.test_snapshots import *\n"
        f"images = Images(Path({str(images.root)!r}), Platform('linux', 'amd64'))\n"
        f"layers = [(Descriptor(m, Digest.parse(d), s), Digest.parse(i)) for m, d, s, i in "
        f"{[(blob.media_type, str(blob.digest), blob.size, str(diff)) for blob, diff in layers]!r}]\n"
        "print([os.stat(lower).st_ino for lower in Snapshots(images).ensure(layers).lowers])\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    with ThreadPoolExecutor(4) as threads:
        stacks = list(threads.map(lambda _: Snapshots(images.session()).ensure(layers), range(4)))
    seen = {process.communicate()[0] for process in processes}

    assert len({stack for stack in stacks}) == 1
    assert seen == {f"{[os.stat(lower).st_ino for lower in stacks[0].lowers]}\n"}
    assert not os.listdir(images.root / "snapshots/locks")


@pytest.mark.slow
def test_what_a_killed_process_left_is_made_anew_or_swept(images: Images) -> None:
    layers = [put(images, *(file(f"file{name}", "x") for name in range(20000)))]
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from engine.test_snapshots import *\n"
        f"images = Images(Path({str(images.root)!r}), Platform('linux', 'amd64'))\n"
        f"blob = Descriptor({layers[0][0].media_type!r}, Digest.parse({str(layers[0][0].digest)!r}), 1)\n"
        "with Snapshots(images).work() as work:\n"
        "    (work / 'deep').mkdir()\n"
        "    print('ready', flush=True)\n"
        f"    Snapshots(images).ensure([(blob, Digest.parse({str(layers[0][1])!r}))])\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        new = images.root / "snapshots" / f"new-{layers[0][1].hex}/fs"
        while not new.exists() or not os.listdir(new):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    left = names(images)
    Snapshots(images).sweep()

    assert len(left) == 2
    assert names(images) == []
    assert len(os.listdir(Snapshots(images).ensure(layers).lowers[0])) == 20000


def test_a_work_folder_is_left_alone_while_it_is_used_and_gone_afterwards(images: Images) -> None:
    snapshots = Snapshots(images)
    with snapshots.work() as work:
        (work / "a/b").mkdir(parents=True)
        Snapshots(images).sweep()

        assert (work / "a/b").is_dir()
    assert names(images) == []
    assert not os.listdir(images.root / "snapshots/locks")


def test_snapshots_go_once_neither_a_name_nor_a_process_needs_them(images: Images) -> None:
    one, two, three = (put(images, file(name, "x" * 5000)) for name in "abc")
    with images.session() as session:
        held = Snapshots(session).ensure([one])
        with images.session() as other:
            kept = Snapshots(other).ensure([two])
            Snapshots(other).ensure([three])
        assert kept.chain
        freed = Snapshots(images).remove_unreached({kept.chain})

        assert freed > 5000
        assert {held.chain, kept.chain} == set(Snapshots(images).sizes())
    Snapshots(images).remove_unreached(set())
    assert Snapshots(images).sizes() == {}
    assert names(images) == []


def test_nothing_is_removed_where_nothing_is(images: Images) -> None:
    assert Snapshots(images).remove_unreached(set()) == 0
    assert Snapshots(images).sizes() == {}
    assert not images.root.exists()


@pytest.mark.slow
def test_what_a_run_wrote_is_adopted_as_the_layer_that_it_became(images: Images, tmp_path: Path) -> None:
    snapshots = Snapshots(images)
    with snapshots.work() as work:
        runs = Runs(work, Stack((busybox(work / "layer"),)))
        runs("echo x > /new")
        assert runs.last
        diff_id = Digest.of(b"the layer")
        base = snapshots.ensure([put(images, file("a"))])
        stack = snapshots.adopt(base, diff_id, runs.last.upper)

    assert stack.chain == chain_id([Digest.parse(f"sha256:{base.lowers[0].parent.name}"), diff_id])
    assert (stack.lowers[-1] / "new").read_text() == "x\n"
    assert snapshots.sizes()[stack.chain] > 0


@pytest.mark.slow
def test_a_container_sees_layers_as_one_tree(images: Images, tmp_path: Path) -> None:
    layers = [
        put(images, folder("d"), file("d/old", "1"), file("gone", "1"), folder("e"), file("e/old")),
        put(images, whiteout("gone"), folder("d"), opaque("d"), file("d/new", "2"), file("e/new")),
    ]
    stack = Snapshots(images).ensure(layers)
    runs = Runs(tmp_path, Stack((busybox(tmp_path / "busybox"), *stack.lowers)))

    assert runs("ls / /d /e | grep -E 'old|new|gone'") == "new\nnew\nold\n"
