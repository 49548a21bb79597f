"""Compression: what other programs compressed is read; what comes in broken is refused."""

from __future__ import annotations

import io
import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockyard.content.compress import Plain, compression
from dockyard.content.protocols import CHUNK
from dockyard.errors import ArchiveInvalid

TEXT = b"".join(b"line %d of some text\n" % number for number in range(150_000))


def program(command: str, data: bytes) -> bytes:
    return subprocess.run(command.split(), input=data, stdout=subprocess.PIPE, check=True).stdout


def plain(data: bytes, piece: int = CHUNK) -> bytes:
    file = Plain(io.BytesIO(data))
    return b"".join(iter(lambda: file.read(piece), b""))


@pytest.mark.parametrize("command", ["gzip -c", "zstd -c", "zstd -c --long=27", "cat"])
def test_what_programs_compress_is_read(command: str) -> None:
    data = program(command, TEXT)

    assert plain(data) == TEXT
    assert plain(data, 1000) == TEXT
    if command != "cat":
        assert plain(data + data) == TEXT + TEXT


def test_frames_that_zstd_skips_and_zeros_after_gzip_hold_nothing() -> None:
    skipped = b"\x51\x2a\x4d\x18\x04\0\0\0skip"
    zstd = program("zstd -c", TEXT)

    assert plain(skipped + zstd + skipped) == TEXT
    assert plain(program("gzip -c", TEXT) + bytes(700)) == TEXT


@pytest.mark.parametrize("command", ["gzip -c", "zstd -c"])
@pytest.mark.parametrize("damage", ["cut at the end", "cut in the middle", "changed", "junk after"])
def test_broken_data_is_refused(command: str, damage: str) -> None:
    data = program(command, TEXT)
    middle = len(data) // 2
    broken = {
        "cut at the end": data[:-3],
        "cut in the middle": data[:middle],
        "changed": data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :],
        "junk after": data + b"junk",
    }[damage]
    with pytest.raises(ArchiveInvalid, match="broken"):
        plain(broken)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(4, 4000))
def test_a_zstd_stream_that_is_cut_anywhere_is_refused(cut: int) -> None:
    data = program("zstd -c -3", TEXT[:200_000] + os.urandom(1000))
    with pytest.raises(ArchiveInvalid):
        plain(data[: min(cut, len(data) - 1)])


@pytest.mark.parametrize("kind", ["bzip2", "xz"])
def test_other_compressions_are_named_with_a_way_out(kind: str) -> None:
    head = {"bzip2": b"BZh91AY&SY", "xz": b"\xfd7zXZ\0\0\4"}[kind]
    with pytest.raises(ArchiveInvalid, match=kind) as refused:
        Plain(io.BytesIO(head))

    assert refused.value.hint and kind in refused.value.hint


def test_compression_is_told_from_the_first_bytes() -> None:
    heads = (b"", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"ustar")

    assert [compression(head) for head in heads] == ["", "gzip", "zstd", "zstd", ""]


@pytest.mark.slow
def test_a_bomb_is_refused() -> None:
    data = subprocess.run(
        "head -c 2000000000 /dev/zero | zstd -c --no-progress", shell=True, stdout=subprocess.PIPE, check=True
    ).stdout
    with pytest.raises(ArchiveInvalid, match="times its size"):
        file = Plain(io.BytesIO(data))
        while file.read():
            pass


def test_a_window_that_would_take_all_memory_is_refused() -> None:
    # A frame that asks for a window of 2 GiB: descriptor 0, window descriptor 0xA8.
    frame = b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\x00\x00"
    with pytest.raises(ArchiveInvalid, match="broken zstd"):
        plain(frame)
