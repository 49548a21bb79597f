"""What ADD may be given: archives compressed in any usual way, read to their end or refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable

import pytest
import zstandard

from dockyard.content import decompress
from dockyard.content.decompress import decompressed
from dockyard.errors import ArchiveInvalid

Compress = Callable[[bytes], bytes]
ALL = [gzip.compress, bz2.compress, lzma.compress, zstandard.compress]
CONTENT = os.urandom(200_000) + bytes(500_000)


def read(raw: bytes, size: int = 65_536) -> bytes:
    stream = decompressed(io.BytesIO(raw))
    return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize("compress", [bytes, *ALL])
def test_content_comes_out_as_it_was(compress: Compress) -> None:
    assert read(compress(CONTENT)) == CONTENT


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_several_streams_in_a_row_are_one_content(compress: Compress) -> None:
    assert read(compress(b"one") + compress(b"") + compress(CONTENT)) == b"one" + CONTENT


def test_xz_may_be_filled_up_with_zeros() -> None:
    assert read(lzma.compress(b"one") + bytes(8) + lzma.compress(b"two") + bytes(4)) == b"onetwo"


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_what_is_cut_short_or_broken_is_refused(compress: Compress) -> None:
    raw = compress(CONTENT)
    broken = bytearray(raw)
    broken[len(raw) // 2] ^= 0xFF

    for bad in (raw[:-1], raw[: len(raw) // 2], bytes(broken), raw + b"more"):
        with pytest.raises(ArchiveInvalid, match="broken compressed data"):
            read(bad)


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_a_bomb_is_refused(compress: Compress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "BOMB_FROM", 1_000_000)

    with pytest.raises(ArchiveInvalid, match="more than 250 times its size"):
        read(compress(bytes(20_000_000)))
