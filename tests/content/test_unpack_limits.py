"""Layers that would fill the disk, the memory or the time: stopped early, with little lost and nothing left open."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import struct
import threading
import time
from pathlib import Path

import psutil
import pytest
import zstandard
from content.layer_tars import END, file, folder, header, layer, names, number, pax, summed, symlink
from servers import must

from dockyard.content.tree_removal import remove_tree
from dockyard.content.unpack import Applied, Limits, apply_layer
from dockyard.errors import ArchiveInvalid, Full

pytestmark = pytest.mark.slow

MEGABYTE = 2**20


def unpack(tmp_path: Path, content: bytes, **limits: int) -> Applied:
    target = tmp_path / "fs"
    target.mkdir(exist_ok=True)
    (tmp_path / "blob").write_bytes(content)
    return apply_layer(tmp_path / "blob", target, whiteouts="overlay", limits=Limits(**limits), sync=False)


def measured(tmp_path: Path, content: bytes, **limits: int) -> tuple[float, int, BaseException | None]:
    """Seconds and the most memory in bytes that unpacking takes, and how it failed."""
    done = threading.Event()
    seen = [0]

    def watch() -> None:
        while not done.wait(0.005):
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    if "-I" in child.cmdline():  # before it is that program it shows the memory of this one
                        seen.append(child.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    begun = time.monotonic()
    error: BaseException | None = None
    try:
        unpack(tmp_path, content, **limits)
    except Exception as raised:
        error = raised
    took = time.monotonic() - begun
    done.set()
    thread.join()
    return took, max(seen), error


def sizes() -> list[tuple[str, bytes]]:
    """Headers whose numbers are lies."""
    huge = b"\x80" + b"\x7f" * 11
    cases: list[tuple[str, bytes]] = [
        (f"{kind!r} of {name}", header("f", kind, size=size) + bytes(1024))
        for kind in (b"0", b"x", b"g", b"L", b"K", b"S", b"5", b"2", b"V")
        for name, size in (
            ("-1", number(-1, 12)), ("the least", b"\xff" + b"\x00" * 11), ("-512", number(-512, 12)), ("huge", huge),
            ("8 GiB", number(8 << 30, 12)), ("2**62", number(2**62, 12)), ("-8 in octal", b"-0000000010\0"),
        )
    ]  # fmt: skip
    cases += [
        (f"pax {key} {value}", pax({key: value}) + header("f") + bytes(1024))
        for key in ("size", "GNU.sparse.realsize", "mtime", "uid")
        for value in ("-1", "9" * 18, "9" * 400, "1e9", "0x10", " 1", "1_0", "")
    ]
    for places in ([(0, 2**50)], [(2**62, 1)], [(5, 5), (0, 5)], [(0, -1)], [(0, 2**63 - 1)]):
        fields = b"".join(number(offset, 12) + number(length, 12) for offset, length in places)
        cases.append(
            (f"old map {places}", header("s", b"S", magic=b"ustar  \0", raw={386: fields, 483: number(2**40, 12)}))
        )
    endless = header("s", b"S", magic=b"ustar  \0", raw={386: number(0, 12) + number(0, 12), 482: b"\1"})
    more = bytearray((number(0, 12) + number(0, 12)) * 21 + b"\1" + bytes(7))
    cases.append(("a map without end", endless + bytes(more) * 20_000))
    for text in (b"999999999\n", b"1\n" * 10, b"9" * 600, b"-1\n0\n", b"\n\n\n", b"100000\n" + b"0\n0\n" * 100_000):
        fields = text + bytes(-len(text) % 512)
        cases.append((f"map {text[:12]!r}", pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})
                      + header("s", size=len(fields)) + fields + END))  # fmt: skip
    for text in (b",", b"1,2,3", b"0,-5", b"1,1,0,1", b"0," * 400_000 + b"0"):
        cases.append(
            (f"list {text[:12]!r}", pax({"GNU.sparse.map": text, "GNU.sparse.size": "10"}) + header("s") + END)
        )
    cases.append(("very many records", header("p", b"x", size=MEGABYTE - 512) + b"6 a=\n6 a" + b"6 a=b\n" * 200_000))
    cases.append(
        ("very many records that are right", header("p", b"x", size=7 * 140_000) + b"7 a=bc\n" * 140_000 + bytes(512))
    )
    cases.append(("headers of headers", pax({"path": "x"}) * 10_000 + header("f") + END))
    return cases


@pytest.mark.slow
@pytest.mark.parametrize(("name", "content"), sizes(), ids=[name for name, _ in sizes()])
def test_numbers_that_lie_cost_neither_time_nor_memory(tmp_path: Path, name: str, content: bytes) -> None:
    took, memory, error = measured(tmp_path, content)

    assert error is None or isinstance(error, ArchiveInvalid), error
    assert took < 5
    assert memory < 256 * MEGABYTE
    assert sum(path.stat().st_blocks for path in (tmp_path / "fs").rglob("*") if path.is_file()) * 512 < MEGABYTE


def test_plain_bytes_are_limited(tmp_path: Path) -> None:
    content = layer(file("a", bytes(3 * MEGABYTE)))

    assert unpack(tmp_path, content, bytes=len(content)).size == len(content)
    with pytest.raises(ArchiveInvalid, match="more than 3000000 bytes"):
        unpack(tmp_path, gzip.compress(content), bytes=3_000_000)
    with pytest.raises(ArchiveInvalid, match="more than 100000 bytes"):  # what follows the end counts
        unpack(tmp_path, gzip.compress(layer(file("a", "x")) + bytes(MEGABYTE)), bytes=100_000)


def test_holes_count_as_bytes(tmp_path: Path) -> None:
    holes = pax(
        {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(2**40), "GNU.sparse.map": "0,0"}
    )
    with pytest.raises(ArchiveInvalid, match="files of more than"):
        unpack(tmp_path, layer(holes + header("f")), bytes=2**39)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_growth_is_limited_above_a_size(tmp_path: Path, pack: object) -> None:
    content = layer(file("a", bytes(30 * MEGABYTE)))
    packed = pack(content)  # type: ignore[operator]

    assert unpack(tmp_path, packed, ratio=100, ratio_from=40 * MEGABYTE).size == len(content)
    with pytest.raises(ArchiveInvalid, match="more than 100 times its size"):
        unpack(tmp_path, packed, ratio=100, ratio_from=MEGABYTE)


def test_files_are_counted_with_the_folders_that_nothing_describes(tmp_path: Path) -> None:
    members = [file(f"f{number}") for number in range(1000)]

    assert unpack(tmp_path, layer(*members), entries=1000).entries == 1000
    with pytest.raises(ArchiveInvalid, match="more than 999 files"):
        unpack(tmp_path, layer(*members), entries=999)
    with pytest.raises(ArchiveInvalid, match="more than 100 files"):
        unpack(tmp_path, layer(file("d/" * 200 + "f")), entries=100)
    with pytest.raises(ArchiveInvalid, match="more than 50 files"):
        unpack(tmp_path, layer(*(file(f"whiteouts/.wh.{number}") for number in range(60))), entries=50)
    remove_tree(tmp_path / "fs")


def test_a_window_of_two_gigabytes_is_refused(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True)
    out = io.BytesIO()
    with zstandard.ZstdCompressor(compression_params=parameters).stream_writer(out, closefd=False) as writer:
        writer.write(layer(file("a", "x")))
    took, memory, error = measured(tmp_path, out.getvalue())

    assert isinstance(error, ArchiveInvalid) and "zstd" in error.message
    assert took < 5 and memory < 256 * MEGABYTE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_stopped_before_it_fills_the_disk(tmp_path: Path, kind: str) -> None:
    """Ten gigabytes of zeros, of which about one is unpacked, and gone when the folder is removed."""
    start, piece = header("a", size=number(10 << 30, 12)), bytes(16 * MEGABYTE)
    with (tmp_path / "blob").open("wb") as blob:
        if kind == "gzip":
            blob.write(gzip.compress(start, 9))
            member = gzip.compress(piece, 9)
        else:
            blob.write(zstandard.compress(start))
            member = zstandard.compress(piece, 19)
        for _ in range(640):
            blob.write(member)
    (tmp_path / "fs").mkdir()
    with pytest.raises(ArchiveInvalid, match="times its size"):
        apply_layer(tmp_path / "blob", tmp_path / "fs", whiteouts="overlay", sync=False)
    unpacked = (tmp_path / "fs/a").stat().st_size
    remove_tree(tmp_path / "fs")

    assert unpacked <= 1100 * MEGABYTE


def test_layers_in_layers_are_files(tmp_path: Path) -> None:
    inner = layer(file("f", "x"))
    for _ in range(20):
        inner = gzip.compress(layer(file("inner", inner)))
    unpack(tmp_path, inner)

    assert [name.split()[0] for name in names(tmp_path / "fs")] == ["inner"]


@pytest.mark.slow
def test_memory_is_flat_whatever_is_in_a_layer(tmp_path: Path) -> None:
    large = layer(file("large", os.urandom(MEGABYTE) * 300))
    folders = layer(*(folder(f"{'n' * 90}{number}", mtime=number) for number in range(30_000)))
    links = layer(folder("d"), *(symlink("l", "d") + file("l/f", "x") + folder("l") for _ in range(5_000)))
    for content in (large, folders, links):
        _, memory, error = measured(tmp_path, content)

        assert error is None
        assert memory < 120 * MEGABYTE
        remove_tree(tmp_path / "fs")


def test_folders_beyond_those_remembered_still_have_their_times(tmp_path: Path) -> None:
    count = 11_000
    parts = [folder(f"d{number}", mtime=number) for number in range(count)]
    unpack(tmp_path, layer(*parts, *(file(f"d{number}/f") for number in range(0, count, 500))))

    assert [(tmp_path / f"fs/d{number}").stat().st_mtime for number in range(0, count, 250)] == list(
        range(0, count, 250)
    )


def test_so_many_undescribed_folders_are_unpacked_with_a_notice(tmp_path: Path) -> None:
    applied = unpack(tmp_path, layer(*(file(f"{'n' * 200}{number}/f") for number in range(12_000))))

    assert applied.entries == 24_000 and len(applied.implied) < 12_000
    assert set(applied.notices) == {
        "folders that no member describes are not all as in the layers below: they are too many", "and more",
    }  # fmt: skip


@pytest.mark.slow
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    must("mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=200", "none", str(disk))
    try:
        for content in (layer(file("a", bytes(8 * MEGABYTE))), layer(*(file(f"f{number}") for number in range(300)))):
            (disk / "fs").mkdir()
            (tmp_path / "blob").write_bytes(content)
            with pytest.raises(Full, match="no space left"):
                apply_layer(tmp_path / "blob", disk / "fs", whiteouts="overlay")
            remove_tree(disk / "fs")
            assert not os.listdir(disk)
    finally:
        must("umount", str(disk))


def test_a_header_is_refused_whose_sum_does_not_fit(tmp_path: Path) -> None:
    broken = bytearray(header("f"))
    broken[0] = ord("g")
    with pytest.raises(ArchiveInvalid, match="no valid header"):
        unpack(tmp_path, file("a") + bytes(broken) + END)

    assert unpack(tmp_path, file("a") + summed(broken) + END).entries == 2


def test_a_size_in_the_zstd_header_is_not_believed(tmp_path: Path) -> None:
    frame = bytearray(zstandard.ZstdCompressor(write_content_size=True).compress(layer(file("a", "x"))))
    frame[5:9] = struct.pack("<I", 2**31 - 1)
    _, memory, error = measured(tmp_path, bytes(frame))

    assert memory < 256 * MEGABYTE and (error is None or isinstance(error, ArchiveInvalid))
