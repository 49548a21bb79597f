"""The same entries give the same layer on every machine, as far as that is promised: under qemu-user."""

from __future__ import annotations

import contextlib
import io

import pytest
from emulation import MODELS, on_arm64, on_model

pytestmark = pytest.mark.slow

SCRIPT = """
import hashlib, tempfile
from pathlib import Path
from dockyard.content.files import BlobFiles
from dockyard.content.frame_format import frames
from dockyard.content.layers import Entry, LayerWriter
from dockyard.content.tar import Kind
from dockyard.content.trees import Node

words = [hashlib.sha256(b"%d" % n).hexdigest()[:7].encode() for n in range(500)]

def content(n):
    seed = hashlib.sha256(b"%d" % n).digest() * 40
    return b" ".join(words[(a * 256 + b) % 500] for a, b in zip(seed, seed[3:]))[: n * 37 % 9000]

with tempfile.TemporaryDirectory() as folder:
    for compression in ("gzip", "zstd"):
        files = BlobFiles(Path(folder))
        with files.create() as blob, LayerWriter(blob, compression) as writer:
            for n in range(300):
                data = content(n) if n % 100 else content(900) * 120
                xattrs = {"user.x": b"1"} if n % 9 == 0 else {}
                node = Node(Kind.FILE, 0o644, mtime=n * 10**9, size=len(data), xattrs=xattrs)
                writer.add(Entry(f"dir{n % 7}/file{n}", node), data)
            layer = writer.finish()
            blob.commit()
        print(compression, layer.diff_id, layer.digest, len(frames(files.path(layer.digest))))
"""


@pytest.fixture(scope="module")
def here() -> dict[str, list[str]]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(SCRIPT, {})
    return read(out.getvalue())


def read(text: str) -> dict[str, list[str]]:
    """Compression → diff ID, digest, count of frames."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


@pytest.mark.parametrize("model", MODELS)
def test_another_x86_makes_the_same_layer(here: dict[str, list[str]], model: str) -> None:
    there = read(on_model(model, SCRIPT))

    assert there["zstd"] == here["zstd"]
    assert there["gzip"][0] == here["gzip"][0] and there["gzip"][2] == here["gzip"][2]
    if model != "qemu64":  # isal compresses otherwise without SSE4.2
        assert there["gzip"] == here["gzip"]


def test_arm64_makes_the_same_tar_and_the_same_zstd(here: dict[str, list[str]]) -> None:
    there = read(on_arm64(SCRIPT))

    assert there["zstd"] == here["zstd"]
    assert there["gzip"][0] == here["gzip"][0] and there["gzip"][2] == here["gzip"][2]
