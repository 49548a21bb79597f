"""Killed at any moment, or out of space: what was acknowledged is there, and what was not can go on."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from registry.pushing import APP, CONFIG, LATEST, chunks, image, push_blob, push_image, put, stored
from registry.rebuilding import dump, rebuilt

from dockyard.config import ServeSettings
from dockyard.errors import DockyardError, Full
from dockyard.oci.digest import Digest
from dockyard.oci.reference import Tag
from dockyard.registry import uploads
from dockyard.registry.access import EVERYBODY
from dockyard.registry.content import Registry

TESTS = Path(__file__).parent.parent
CONTENT = b"".join(hashlib.sha512(b"%d" % number).digest() for number in range(128 * 1024))  # 8 MiB

UPLOADING = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from registry.pushing import *
from registry.test_crashes import CONTENT
from dockyard.config import ServeSettings
from dockyard.registry import uploads
from dockyard.registry.content import Registry

async def slowly(upload):
    async for piece in chunks(CONTENT):
        yield piece
        await asyncio.sleep(0.002)

async def main():
    uploads.CHECKPOINT = 1024 * 1024
    registry = await Registry.open(ServeSettings(auth="none", data=sys.argv[1]))
    upload = await registry.begin_upload(EVERYBODY, APP)
    print(upload.id, flush=True)
    await registry.append(EVERYBODY, APP, upload.id, slowly(upload.id))

asyncio.run(main())
"""

PUSHING = """
import asyncio, json, os, sys
sys.path.insert(0, sys.argv[2])
from registry.pushing import *
from dockyard.config import ServeSettings
from dockyard.registry.content import Registry

async def push(registry, number):
    while True:
        layer = os.urandom(200_000)
        blob = await push_blob(registry, APP, layer)
        print(json.dumps({"blob": str(blob.digest)}), flush=True)
        manifest = image(layer)
        tag = Tag(f"t{number}")
        await put(registry, manifest, tag)
        print(json.dumps({"manifest": str(manifest.digest), "tag": tag}), flush=True)

async def main():
    registry = await Registry.open(ServeSettings(auth="none", data=sys.argv[1]))
    await push_blob(registry, APP, CONFIG)
    await asyncio.gather(*(push(registry, number) for number in range(4)))

asyncio.run(main())
"""


def start(script: str, data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, str(data), str(TESTS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str]) -> list[str]:
    process.kill()
    with process:
        return [line for line in process.stdout if line.endswith("\n")]


async def test_an_upload_goes_on_after_its_server_was_killed(open_registry, tmp_path):
    process = start(UPLOADING, tmp_path / "hub")
    upload = process.stdout.readline().strip()
    pending = tmp_path / "hub" / "uploads" / upload
    while not (pending.exists() and pending.stat().st_size > 3 * 1024 * 1024):
        assert process.poll() is None
    kill(process)
    registry = await open_registry()
    offset = (await registry.upload(EVERYBODY, APP, upload)).offset
    blob = await registry.finish_upload(
        EVERYBODY, APP, upload, Digest.of(CONTENT), chunks(CONTENT[offset:]), start=offset
    )

    assert 1024 * 1024 <= offset < len(CONTENT)
    assert await stored(registry, blob) == CONTENT


async def test_what_was_acknowledged_before_a_kill_is_there_and_in_the_journal(tmp_path):
    acknowledged, tags = [], {}
    for number in range(3):
        process = start(PUSHING, tmp_path / "hub")
        lines = [process.stdout.readline() for _ in range(10 + 15 * number)]
        for line in lines + kill(process):
            acknowledged.append(json.loads(line))
            if tag := acknowledged[-1].get("tag"):
                tags[tag] = acknowledged[-1]["manifest"]
    # The open has to bring back what the kill left undone; nothing is pushed from here on.
    registry = await Registry.open(ServeSettings(auth="none", data=str(tmp_path / "hub")))
    try:
        for found in acknowledged:
            if "blob" in found:
                blob = await registry.blob(EVERYBODY, APP, Digest.parse(found["blob"]))
                assert Digest.of(blob.path.read_bytes()) == blob.digest
            else:
                digest = Digest.parse(found["manifest"])
                assert (await registry.manifest(EVERYBODY, APP, digest)).manifest.digest == digest
        names = (await registry.tags(EVERYBODY, APP, limit=10)).items
        before = await registry.database.read(dump)
    finally:
        await registry.close()
    after = await rebuilt(tmp_path / "hub" / "journal", tmp_path / "rebuilt")

    assert set(names) >= set(tags)
    assert after["manifests"] == before["manifests"]
    assert after["tags"] == before["tags"]
    assert after["tag_history"] == before["tag_history"]


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 32 MiB of its own, where the hub is."""
    folder = tmp_path / "hub"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_blob_that_does_not_fit_leaves_nothing_and_what_is_there_works(tiny_disk, open_registry):
    registry = await open_registry()
    kept = await push_image(registry, b"kept")
    big = bytes(40 * 1024 * 1024)
    upload = await registry.begin_upload(EVERYBODY, APP)
    with pytest.raises(Full):
        await registry.finish_upload(EVERYBODY, APP, upload.id, Digest.of(big), chunks(big))
    found = (await registry.manifest(EVERYBODY, APP, LATEST)).manifest

    assert found == kept
    assert [path.stat().st_size for path in (tiny_disk / "uploads").iterdir()] == [0]
    assert (await push_blob(registry, APP, bytes(8 * 1024 * 1024))).size == 8 * 1024 * 1024


async def test_a_chunk_that_does_not_fit_leaves_those_before_it(tiny_disk, open_registry, monkeypatch):
    monkeypatch.setattr(uploads, "CHECKPOINT", 4 * 1024 * 1024)
    registry = await open_registry()
    content = os.urandom(40 * 1024 * 1024)
    upload = (await registry.begin_upload(EVERYBODY, APP)).id
    await registry.append(EVERYBODY, APP, upload, chunks(content[:1_000_000]))
    with pytest.raises(Full):
        await registry.append(EVERYBODY, APP, upload, chunks(content[1_000_000:]))

    assert (await registry.upload(EVERYBODY, APP, upload)).offset == 1_000_000
    assert [path.stat().st_size for path in (tiny_disk / "uploads").iterdir()] == [1_000_000]
    rest = content[1_000_000:2_000_000]
    digest = Digest.of(content[:2_000_000])
    assert (await registry.finish_upload(EVERYBODY, APP, upload, digest, chunks(rest))).size == 2_000_000


async def test_a_hub_does_not_wait_for_room_to_start(tiny_disk, open_registry):
    with pytest.raises(OSError, match="No space"), (tiny_disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))

    with pytest.raises(Full):
        async with asyncio.timeout(20):
            await open_registry()


async def test_a_hub_on_a_full_disk_reads_and_works_again_when_there_is_room(tiny_disk, open_registry):
    registry = await open_registry()
    kept = await push_image(registry, b"kept")
    filler = tiny_disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    refused = 0
    for number in range(50):
        try:
            await put(registry, kept, Tag(f"t{number}"))
        except DockyardError as error:
            assert isinstance(error, Full)
            refused += 1
    with pytest.raises(DockyardError):
        await registry.ready()
    found = (await registry.manifest(EVERYBODY, APP, LATEST)).manifest
    filler.unlink()
    await registry.ready()
    await registry._journal.catch_up()
    await push_image(registry, b"new", tag=Tag("new"))

    assert refused
    assert found == kept == (await registry.manifest(EVERYBODY, APP, LATEST)).manifest
    assert (await registry.manifest(EVERYBODY, APP, Tag("new"))).manifest == image(b"new", config=CONFIG)
