"""The journal: written before anybody is told, and enough to bring the database back."""

import json
import os

import pytest
from registry.pushing import APP, CONFIG, LATEST, OTHER, about, image, index, push_blob, push_image, put
from registry.rebuilding import REBUILT, dump, rebuilt
from sqlalchemy import func, select

from dockyard.errors import Unavailable
from dockyard.oci.digest import Digest
from dockyard.oci.reference import RepositoryName, Tag
from dockyard.registry import schema
from dockyard.registry.access import EVERYBODY

V1, V2 = Tag("v1"), Tag("v2")


def records(tmp_path):
    return sorted((tmp_path / "hub" / "journal").glob("*/*.json"))


async def live_a_little(registry, clock):
    first = await push_image(registry, b"first", tag=V1, annotations={"a": 'quotes " and \u2028'})
    await put(registry, first, LATEST, tags=[V1, V2])
    clock.passes(1)
    second = await push_image(registry, b"second", repository=OTHER)
    await registry.mount(EVERYBODY, APP, Digest.of(b"second"), OTHER)
    clock.passes(1)
    await put(registry, second, Digest.of(second.raw, "sha512"), tags=[LATEST])
    await put(registry, index(first, second), V2)
    await push_blob(registry, APP, b"{}", "sha512")
    signature = about(first, "application/signature", by="me")
    await put(registry, signature, signature.digest)
    third = await push_image(registry, b"third", repository=RepositoryName("one-part"))
    clock.passes(1)
    await registry.delete_manifest(EVERYBODY, APP, V1)
    await registry.delete_manifest(EVERYBODY, "one-part", third.digest)
    await registry.delete_blob(EVERYBODY, "one-part", Digest.of(b"third"))
    await put(registry, first, V1)


async def test_a_replay_into_an_empty_database_equals_the_old_one(registry, clock, tmp_path):
    await live_a_little(registry, clock)
    await registry._journal.mark()
    before = await registry.database.read(dump)
    after = await rebuilt(tmp_path / "hub" / "journal", tmp_path / "rebuilt")

    assert all(before[table.name] for table in REBUILT)
    assert after == before


async def test_a_record_holds_the_manifest_and_where_its_blobs_are(registry, tmp_path):
    manifest = await push_image(registry, b"layer")
    layer = await registry.blob(EVERYBODY, APP, Digest.of(b"layer"))
    (record,) = (json.loads(path.read_bytes()) for path in records(tmp_path))
    change = record["change"]

    assert [path.relative_to(tmp_path / "hub" / "journal").as_posix() for path in records(tmp_path)] == ["1/1.json"]
    assert (record["repository"]["name"], record["revision"], record["actor"]) == (APP, 1, None)
    assert (change["type"], change["tags"], change["raw"].encode()) == ("put", [LATEST], manifest.raw)
    assert {blob["digest"]: blob["size"] for blob in change["blobs"]} == {
        str(Digest.of(content)): len(content) for content in (b"layer", CONFIG)
    }
    assert layer.key in {blob["key"] for blob in change["blobs"]}


async def test_revisions_count_each_repository_up_from_one(registry, tmp_path):
    for repository in (APP, OTHER, APP, APP):
        await push_image(registry, b"layer", repository=repository)

    assert [path.relative_to(tmp_path / "hub" / "journal").as_posix() for path in records(tmp_path)] == [
        "1/1.json", "1/2.json", "1/3.json", "2/1.json"
    ]  # fmt: skip


async def unstored(registry):
    query = select(func.count()).where(schema.changes.c.record.is_not(None))
    return await registry.database.read(lambda connection: connection.scalar(query))


async def test_records_that_could_not_be_stored_are_stored_at_the_next_start(open_registry, clock, tmp_path):
    registry = await open_registry()
    await push_image(registry, b"layer")
    await registry._journal.mark()
    folder = tmp_path / "hub" / "journal" / "1"
    kept = (folder / "1.json").read_bytes()
    # Somebody put a file where the repository's records go: what follows can't be stored.
    folder.rename(tmp_path / "aside")
    folder.write_bytes(b"")
    with pytest.raises(Unavailable):
        await put(registry, image(b"layer"), V1)
    folder.unlink()
    (tmp_path / "aside").rename(folder)
    assert await unstored(registry) == 1
    await registry.close()
    again = await open_registry()

    assert (folder / "1.json").read_bytes() == kept
    assert json.loads((folder / "2.json").read_bytes())["change"]["tags"] == [V1]
    assert await unstored(again) == 0


async def test_records_lost_before_they_were_marked_are_written_again(open_registry, tmp_path):
    registry = await open_registry()
    await push_image(registry, b"layer")
    (path,) = records(tmp_path)
    kept = path.read_bytes()
    path.unlink()
    await (await open_registry())._journal.catch_up()

    assert path.read_bytes() == kept


async def test_a_stored_record_is_never_written_again(registry, tmp_path):
    await push_image(registry, b"layer")
    (path,) = records(tmp_path)
    before = os.stat(path)
    await registry._journal.catch_up()

    assert os.stat(path).st_ino == before.st_ino
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns
    assert os.listdir(path.parent) == [path.name]
