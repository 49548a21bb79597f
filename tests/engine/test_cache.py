"""The records of earlier builds: kept, listed, given up, and never a reason to fail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dockyard.engine.build_state import Layer
from dockyard.engine.cache import BuildCache, CacheRow, Record, oldest_over
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = "a" * 64, "b" * 64
LAYER = Layer(Descriptor(media_types.OCI_LAYER_GZIP, Digest.of(b"x"), 1), Digest.of(b"plain"))


def row(name: str, size: int, used: float, *, shared: bool = False) -> CacheRow:
    return CacheRow(name, "file", size, 0.0, used, name, shared)


def test_a_record_comes_back_as_it_was_put(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    record = Record(LAYER, 12.5, "COPY a b", "file", 1024)
    cache.put(KEY, record)
    cache.put(OTHER, Record(None, 0.0, "WORKDIR /"))

    assert cache.get(KEY) == record
    assert cache.get(OTHER) == Record(None, 0.0, "WORKDIR /")
    assert cache.digests() == {LAYER.descriptor.digest}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"layer": 1}', b'{"layer": {"digest": "../x"}}', b"\xff"])
def test_a_damaged_record_is_as_none(tmp_path: Path, content: bytes) -> None:
    cache = BuildCache(tmp_path)
    cache.put(KEY, Record(LAYER, 0.0, "x"))
    (cache.folder / KEY).write_bytes(content)

    assert cache.get(KEY) is None
    assert list(cache.records()) == []


def test_a_record_that_is_read_counts_as_used(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    for key in (KEY, OTHER):
        cache.put(key, Record(LAYER, 0.0, key))
        os.utime(cache.folder / key, (1, 1))
    cache.get(KEY)

    assert [found.id for found in cache.rows(lambda _: 1, set())] == [KEY, OTHER]


@pytest.mark.parametrize("key", ["", "../escape", "A" * 64, "a" * 63])
def test_what_is_no_key_never_becomes_a_path(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a cache key"):
        BuildCache(tmp_path).put(key, Record(None, 0.0, ""))


def test_the_longest_unused_go_first_and_shared_layers_count_for_nothing() -> None:
    rows = [row("new", 10, 3), row("old", 10, 1), row("middle", 10, 2), row("image", 100, 0, shared=True)]

    assert [found.id for found in oldest_over(rows, 25)] == ["old"]
    assert [found.id for found in oldest_over(rows, 0)] == ["old", "middle", "new"]
    assert oldest_over(rows, 30) == []
