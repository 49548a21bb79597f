"""Frames: plain gzip and zstd to everybody, the same bytes from the same input, and a small change stays small."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any, Literal

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from dockyard.content.compress import Plain
from dockyard.content.frame_format import Frame, frames
from dockyard.content.frames import MOST, TARGET, Frames
from dockyard.errors import Conflict

Compression = Literal["gzip", "zstd"]
BOTH: list[Compression] = ["gzip", "zstd"]
TEXT = b"".join(b"line %d of some text\n" % number for number in range(150_000))


def compressed(data: bytes, compression: Compression = "gzip", *, threads: int = 2, piece: int = 300_000) -> bytes:
    out: list[bytes] = []
    with Frames(out.append, compression, threads=threads) as made:
        for start in range(0, len(data), piece):
            made.write(data[start : start + piece])
        made.finish()
    return b"".join(out)


def members(contents: dict[str, bytes], compression: Compression = "gzip") -> bytes:
    """Files as a tar would have them, with headers of 512 bytes."""
    out: list[bytes] = []
    with Frames(out.append, compression) as made:
        for path, content in contents.items():
            made.begin(path.encode(), 512, len(content))
            made.write(path.encode().ljust(512, b"\0"))
            made.copy(io.BytesIO(content), len(content), what=path)
            made.write(bytes(-len(content) % 512))
        made.finish()
    return b"".join(out)


def many_files(count: int = 1000, mean: int = 8000) -> dict[str, bytes]:
    chance = random.Random(4)
    words = [b"%x" % chance.getrandbits(40) for _ in range(5000)]
    return {
        f"usr/lib/package{number % 40}/module{number}.py": b" ".join(
            chance.choices(words, k=int(chance.expovariate(10 / mean)))
        )
        for number in range(count)
    }


def listed(tmp_path: Path, data: bytes) -> list[Frame]:
    (tmp_path / "blob").write_bytes(data)
    return frames(tmp_path / "blob")


def bytes_of(data: bytes, found: list[Frame]) -> set[bytes]:
    return {data[frame.offset : frame.offset + frame.size] for frame in found}


def program(command: str, data: bytes) -> bytes:
    return subprocess.run(command.split(), input=data, stdout=subprocess.PIPE, check=True).stdout


def plain(data: bytes) -> bytes:
    file = Plain(io.BytesIO(data))
    return b"".join(iter(file.read, b""))


@pytest.mark.parametrize("compression", BOTH)
def test_the_same_input_gives_the_same_bytes_however_it_comes(compression: Compression) -> None:
    first = compressed(TEXT, compression, threads=1)

    assert compressed(TEXT, compression, threads=4, piece=777) == first
    assert compressed(TEXT, compression, threads=3, piece=len(TEXT)) == first
    assert len(first) < len(TEXT) / 3


@pytest.mark.parametrize(
    "data", [b"", b"x", os.urandom(MOST), os.urandom(MOST + 1), TEXT], ids=["empty", "byte", "one", "two", "several"]
)
def test_every_reader_of_gzip_reads_ours(data: bytes) -> None:
    made = compressed(data)

    assert gzip.decompress(made) == data
    assert program("gzip -dc", made) == data
    assert program("busybox gzip -dc", made) == data
    assert plain(made) == data


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(MOST + 1), TEXT], ids=["empty", "byte", "two", "several"])
def test_every_reader_of_zstd_reads_ours(data: bytes) -> None:
    made = compressed(data, "zstd")
    reader = zstandard.ZstdDecompressor().stream_reader(made, read_across_frames=True)

    assert reader.read() == data
    assert program("zstd -dc", made) == data
    assert plain(made) == data


def test_a_gzip_header_has_no_name_no_time_no_machine_but_its_length() -> None:
    made = compressed(b"hello")

    assert made[:16] == b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + b"\x08\0DY\x04\0"
    assert int.from_bytes(made[16:20], "little") == len(made)


@pytest.mark.parametrize("compression", BOTH)
def test_frames_are_listed_without_uncompressing(tmp_path: Path, compression: Compression) -> None:
    data = members(many_files(), compression)
    found = listed(tmp_path, data)
    whole = plain(data)
    table = 17 + 8 * len(found) if compression == "zstd" else 0
    at = 0

    assert len(found) > 20
    assert [frame.offset for frame in found] == [sum(frame.size for frame in found[:n]) for n in range(len(found))]
    assert sum(frame.size for frame in found) + table == len(data)
    for frame in found:
        piece = data[frame.offset : frame.offset + frame.size]

        assert plain(piece) == whole[at : at + frame.plain]
        at += frame.plain
    assert at == len(whole)


def test_the_zstd_table_is_the_one_of_zstds_seekable_format() -> None:
    data = compressed(TEXT, "zstd")
    count = int.from_bytes(data[-9:-5], "little")

    assert data[-5:] == b"\0\xb1\xea\x92\x8f"
    assert data[-(17 + 8 * count) :][:8] == b"\x5e\x2a\x4d\x18" + (9 + 8 * count).to_bytes(4, "little")


@pytest.mark.parametrize("data", [
    b"", b"text", gzip.compress(TEXT, mtime=0), compressed(TEXT)[:-1], compressed(TEXT) + gzip.compress(b"x", mtime=0),
    compressed(TEXT, "zstd")[:-1], compressed(TEXT, "zstd")[5:], zstandard.compress(TEXT),
    b"\xff\xff\xff\xff\0\xb1\xea\x92\x8f".rjust(100, b"\0"), compressed(b"x")[:20], compressed(b"x")[:16] + bytes(40),
])  # fmt: skip
def test_a_blob_that_is_not_made_of_frames_has_none(tmp_path: Path, data: bytes) -> None:
    assert listed(tmp_path, data) == []


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 10_000), value=st.binary(min_size=1, max_size=8), compression=st.sampled_from(BOTH))
def test_listing_a_damaged_blob_ends_with_frames_inside_of_it(
    tmp_path_factory: Any, at: int, value: bytes, compression: Compression
) -> None:
    data = compressed(TEXT[:1_200_000], compression)
    at %= len(data)
    broken = data[:at] + value + data[at + len(value) :]
    folder = tmp_path_factory.mktemp("damaged")

    assert all(frame.offset + frame.size <= len(broken) for frame in listed(folder, broken))


@pytest.fixture(scope="module")
def large() -> dict[str, bytes]:
    """300 MB of small files."""
    return dict(sorted(many_files(15_000, 20_000).items()))


@pytest.mark.slow
@pytest.mark.parametrize("compression", BOTH)
def test_a_changed_file_of_many_leaves_nearly_all_frames_as_they_were(
    tmp_path: Path, compression: Compression, large: dict[str, bytes]
) -> None:
    name = sorted(large)[9000]
    old = large[name]
    first = members(large, compression)
    before = bytes_of(first, listed(tmp_path, first))
    changes: dict[str, dict[str, bytes]] = {
        "same size": {name: bytes(reversed(old))},
        "longer": {name: old + b"more of it" * 50},
        "shorter": {name: old[:-5]},
        "added": {name + "x": b"new" * 500},
    }
    for change in changes.values() if compression == "gzip" else [changes["longer"]]:
        second = members(dict(sorted((large | change).items())), compression)
        same = before & bytes_of(second, listed(tmp_path, second))

        assert sum(map(len, same)) >= 0.998 * len(second)


@pytest.mark.slow
@pytest.mark.parametrize("mean", [200, 2000, 30_000])
def test_frames_have_their_target_in_the_mean_whatever_the_files_sizes(tmp_path: Path, mean: int) -> None:
    found = listed(tmp_path, members(many_files(20_000_000 // (mean + 512), mean)))
    total = sum(frame.plain for frame in found)

    assert 0.6 < total / len(found) / TARGET < 1.4
    assert max(frame.plain for frame in found) <= MOST


def test_a_big_file_is_cut_at_the_same_places_wherever_it_is(tmp_path: Path) -> None:
    big = os.urandom(5 * TARGET + 1000)
    first = members({"a": b"x" * 700, "big": big, "z": b"end"})
    second = members({"another": b"y" * 100_000, "b": b"y" * 3000, "big": big, "z": b"end"})
    ours, theirs = listed(tmp_path, first), listed(tmp_path, second)

    assert [frame.plain for frame in ours[1:]] == [512 + TARGET, *[TARGET] * 4, 1024 + 1024]
    assert bytes_of(first, ours[1:]) == bytes_of(second, theirs[-6:])


@pytest.mark.slow
def test_bytes_inserted_in_a_big_file_change_the_rest_of_that_file_alone(tmp_path: Path) -> None:
    big = os.urandom(20 * TARGET)
    changed = bytearray(big)
    changed[10 * TARGET] ^= 1
    first, second = members({"big": big, **many_files()}), members({"big": bytes(changed), **many_files()})
    new = bytes_of(second, listed(tmp_path, second)) - bytes_of(first, listed(tmp_path, first))

    assert len(new) == 1


@pytest.mark.parametrize(
    "size", [0, 1, 511, 512, 100_000, TARGET - 512, TARGET, TARGET + 1, 2 * TARGET, 3 * TARGET + 7]
)
@pytest.mark.parametrize("kind", ["file", "buffered", "stream"])
def test_content_that_is_not_as_long_as_was_said_is_refused(tmp_path: Path, size: int, kind: str) -> None:
    def copy(length: int) -> bytes:
        (tmp_path / "f").write_bytes(os.urandom(length))
        out: list[bytes] = []
        with (tmp_path / "f").open("rb", buffering=0 if kind == "file" else -1) as file, Frames(out.append) as made:
            made.begin(b"f", 512, size)
            made.write(bytes(512))
            made.copy(Trickle(file) if kind == "stream" else file, size, what="dir/f")  # type: ignore[arg-type]
            made.finish()
        return b"".join(out)

    assert plain(copy(size))[512:] == (tmp_path / "f").read_bytes()
    for other in (size + 1, size - 1, size + TARGET):
        if other >= 0:
            with pytest.raises(Conflict, match="dir/f changed while it was read"):
                copy(other)


class Trickle:
    """A stream that gives less than it is asked for."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        piece: bytes = self._file.read(min(size, 70_000))
        return piece


@pytest.mark.parametrize("compression", BOTH)
def test_the_digest_is_of_the_plain_bytes(compression: Compression) -> None:
    for algorithm in ("sha256", "sha512"):
        with Frames(lambda _: None, compression, algorithm=algorithm) as made:
            made.write(TEXT)
            made.finish()

        assert str(made.diff_id) == f"{algorithm}:{hashlib.new(algorithm, TEXT).hexdigest()}"
        assert made.size == len(TEXT)


def test_an_error_of_the_sink_ends_the_writing_and_all_threads() -> None:
    before = threading.active_count()

    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), Frames(full) as made:
        for _ in range(1000):
            made.write(TEXT)

    assert threading.active_count() == before


def test_leaving_in_the_middle_ends_all_threads() -> None:
    before = threading.active_count()
    with pytest.raises(KeyError), Frames(lambda _: time.sleep(0.01)) as made:
        made.write(TEXT * 3)
        raise KeyError

    assert threading.active_count() == before


@pytest.mark.slow
def test_memory_stays_flat_however_slow_the_sink_is() -> None:
    tracemalloc.start()
    with Frames(lambda _: time.sleep(0.01), threads=2) as made:
        for _ in range(15):
            made.write(TEXT)
        made.finish()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 20 * MOST


@pytest.mark.slow
@pytest.mark.alone
def test_a_file_of_2_gib_passes_with_flat_memory(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(2 * 2**30)
    script = (
        "import sys\n"
        "from dockyard.content.frames import Frames\n"
        "with open(sys.argv[1], 'rb', buffering=0) as file, Frames(lambda _: None) as made:\n"
        "    made.begin(b'big', 512, 2 << 30); made.write(bytes(512))\n"
        "    made.copy(file, 2 << 30, what='big'); made.finish()\n"
        "most = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(made.size, most.split()[1])\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "big"], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    size, kib = map(int, out.split())

    assert size == 2 * 2**30 + 512
    assert kib < 150 * 1024
