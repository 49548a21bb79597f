"""``rmi`` and ``prune``: what goes, what is said about it, and what stays."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import images as make
import pytest
from engine.conftest import Clock
from engine.stores import blobs, complete

from dockyard.content.copy import copy
from dockyard.content.layout import Layout
from dockyard.engine.engine import Engine
from dockyard.errors import Conflict, ImageUnknown, Invalid
from dockyard.oci.digest import Digest

Add = Callable[..., str]


def said(records: object) -> list[str]:
    return [str(record) for record in records]  # type: ignore[attr-defined]


def test_the_last_name_takes_the_image_with_it(engine: Engine, add: Add) -> None:
    image = add("app:v1")
    engine.tag("app:v1", "other")
    chain = engine.inspect("app:v1")["RootFS"]["Layers"][0]
    first, second = said(engine.remove("app:v1")), said(engine.remove("other"))

    assert first == ["Untagged: app:v1"]
    assert second == ["Untagged: other:latest", f"Deleted: {image}", f"Deleted: {chain}"]
    assert blobs(engine) == set()


async def test_layers_that_others_need_stay(engine: Engine, tmp_path: Path) -> None:
    one, two = make.small(tmp_path / "one", "base", "one"), make.small(tmp_path / "two", "base", "two")
    for folder in (one, two):
        with engine.images.session() as images:
            await copy(Layout(folder), images, "latest", to=folder.name)
    records = said(engine.remove("one"))

    assert len([line for line in records if line.startswith("Deleted")]) == 2  # the image, and its own layer
    assert blobs(engine) == set(make.Layout(two).reachable())
    assert complete(engine)


def test_an_id_with_names_in_several_repositories_needs_force(engine: Engine, add: Add) -> None:
    image = add("app:v1")
    engine.tag("app:v1", "other:v2")
    with pytest.raises(
        Conflict, match=r"^conflict: unable to delete.*must be forced.*referenced in multiple repositories"
    ):
        engine.remove(image)
    records = said(engine.remove(image[7:20], force=True))

    assert records[:3] == ["Untagged: app:v1", "Untagged: other:v2", f"Deleted: {image}"]
    assert blobs(engine) == set()


def test_an_id_with_one_name_needs_no_force(engine: Engine, add: Add) -> None:
    image = add("app:v1")

    assert said(engine.remove(image[7:19]))[:2] == ["Untagged: app:v1", f"Deleted: {image}"]


def test_an_image_without_a_name_goes_by_its_id(engine: Engine, add: Add) -> None:
    image = add(None)

    assert said(engine.remove(image))[0] == f"Deleted: {image}"
    assert engine.rows() == []


def test_an_id_of_several_manifests_lists_them_and_force_takes_all(engine: Engine, add: Add) -> None:
    image = add("app")
    manifest = engine.images.read(engine.images.entries.read()[0].digest)
    again = type(manifest)(manifest.raw + b"\n", manifest.media_type)
    with engine.images.session() as images:
        images.keep(again)
        images.name(again.descriptor, engine.names.expand("app:again"))
    with pytest.raises(Conflict) as refused:
        engine.remove(image)
    records = said(engine.remove(image, force=True))

    assert str(manifest.digest) in refused.value.message and str(again.digest) in refused.value.message
    assert records[:3] == ["Untagged: app:latest", "Untagged: app:again", f"Deleted: {image}"]
    assert blobs(engine) == set()


def test_one_of_two_manifests_with_one_id_goes_with_its_name(engine: Engine, add: Add) -> None:
    add("app")
    manifest = engine.images.read(engine.images.entries.read()[0].digest)
    again = type(manifest)(manifest.raw + b"\n", manifest.media_type)
    with engine.images.session() as images:
        images.keep(again)
        images.name(again.descriptor, engine.names.expand("app:again"))
    records = said(engine.remove("app:again"))

    assert records == ["Untagged: app:again"]
    assert str(again.digest) not in blobs(engine)
    assert complete(engine)


def test_the_last_tag_of_a_repository_takes_the_digests_known_from_there(engine: Engine, add: Add) -> None:
    image = add("localhost:5000/app:v1")
    entry = engine.images.entries.read()[0]
    for name in (f"localhost:5000/app@{entry.digest}", "localhost:5000/other:v1"):
        engine.images.alias(entry, engine.names.expand(name)[0])
    records = said(engine.remove("localhost:5000/app:v1"))

    assert records == ["Untagged: localhost:5000/app:v1", f"Untagged: localhost:5000/app@{entry.digest}"]
    assert str(engine.resolve_id("localhost:5000/other:v1")) == image


@pytest.mark.parametrize("later", [(), ("localhost:5000/app:v1",)], ids=["tag first", "digest first"])
def test_a_digest_alone_can_be_removed(later: tuple[str, ...], engine: Engine, add: Add) -> None:
    add("localhost:5000/app:v1")
    entry = engine.images.entries.read()[0]
    for name in (f"localhost:5000/app@{entry.digest}", *later):
        engine.images.alias(entry, engine.names.expand(name)[0])
    records = said(engine.remove(f"localhost:5000/app@{entry.digest}"))

    assert records == [f"Untagged: localhost:5000/app@{entry.digest}"]
    assert [row.tag for row in engine.rows()] == ["v1"]


def test_what_is_not_there_can_not_be_removed(engine: Engine) -> None:
    with pytest.raises(ImageUnknown, match=r"^No such image: app:latest$"):
        engine.remove("app")


def test_a_damaged_image_can_be_removed(engine: Engine, add: Add) -> None:
    add("bad", "bad")
    good = add("good", "good")
    entry = next(entry for entry in engine.images.entries.read() if "bad" in str(entry.annotations))
    engine.images.files.path(entry.digest).write_bytes(b"{")
    (engine.images.root / "facts.json").unlink(missing_ok=True)
    engine.remove("bad")

    assert [str(row.id) for row in engine.rows()] == [good]
    assert complete(engine)


def test_content_that_a_live_lease_holds_stays_and_a_dead_one_holds_nothing(engine: Engine, add: Add) -> None:
    add("app")
    held = sorted(blobs(engine))[0]
    with engine.images.session() as other:
        other.hold(Digest.parse(held))
        engine.remove("app")
        while_held = blobs(engine)
        dead = engine.images.root / "leases" / "dead"
        dead.write_text(f"{held}\n")
    engine.prune(all_unused=True)

    assert while_held == {held}
    assert blobs(engine) == set()
    assert os.listdir(engine.images.root / "leases") == []


def test_prune_takes_images_without_a_tag(engine: Engine, add: Add) -> None:
    old = add("app", "old")
    add("app", "new")
    before = blobs(engine)
    sizes = {name: engine.images.files.size(Digest.parse(name)) or 0 for name in before}
    pruned = engine.prune()
    gone = before - blobs(engine)

    assert said(pruned.removed) == [f"Deleted: {old}"]
    assert pruned.reclaimed == sum(sizes[name] for name in gone) > 0
    assert len(gone) == 3
    assert complete(engine)
    assert engine.prune().reclaimed == 0


def test_prune_all_takes_every_image(engine: Engine, add: Add) -> None:
    first, second = add("one", "one"), add("two", "two")
    pruned = engine.prune(all_unused=True)

    assert said(pruned.removed) == [
        "Untagged: one:latest", "Untagged: two:latest", f"Deleted: {first}", f"Deleted: {second}",
    ]  # fmt: skip
    assert blobs(engine) == set()


@pytest.mark.parametrize(
    ("filters", "stays"),
    [
        ([("until", "24h")], {"young", "kept"}),
        ([("until", "1h")], {"kept"}),
        ([("label", "keep")], {"young", "old"}),
        ([("label", "keep=yes")], {"young", "old"}),
        ([("label", "keep=no")], {"young", "old", "kept"}),
        ([("label!", "keep")], {"kept"}),
        ([("label!", "keep"), ("until", "24h")], {"young", "kept"}),
    ],
)
def test_prune_goes_by_age_and_labels(
    engine: Engine, add: Add, clock: Clock, filters: list[tuple[str, str]], stays: set[str]
) -> None:
    clock.now = 1_700_000_000.0
    add("old", "old")
    clock.now += 47 * 3600
    add("young", "young")
    clock.now += 3600 + 1800
    add("kept", "kept", "LABEL keep=yes")
    clock.now += 60
    engine.prune(all_unused=True, filters=filters)

    assert {row.repository for row in engine.rows()} == stays


def test_prune_refuses_filters_that_it_does_not_know(engine: Engine) -> None:
    for filters in ([("name", "x")], [("until", "yesterday")], [("dangling", "perhaps")]):
        with pytest.raises(Invalid, match="invalid filter"):
            engine.prune(filters=filters)


def test_what_a_broken_transfer_left_stays_for_a_day(engine: Engine, add: Add, clock: Clock) -> None:
    add("app")
    orphan, partial = Digest.of(b"orphan"), engine.images.files.ingest / ("sha256-" + "a" * 64)
    engine.images.files.put(b"orphan", orphan)
    partial.write_bytes(b"begin")
    made = partial.stat().st_mtime
    clock.now = made + 23 * 3600
    early = engine.prune().reclaimed
    clock.now = made + 25 * 3600
    late = engine.prune().reclaimed

    assert (early, late) == (0, len(b"orphan") + len(b"begin"))
    assert not partial.exists()
    assert complete(engine)


def test_a_blob_that_somebody_is_writing_is_left_alone(engine: Engine, add: Add, clock: Clock) -> None:
    add("app")
    with engine.images.files.create() as new:
        new.write(b"half")
        clock.now = 4_000_000_000.0
        engine.prune(all_unused=True)
        digest = new.commit()

    assert engine.images.files.size(digest) == 4


def test_usage_counts_what_is_shared_once(engine: Engine, add: Add) -> None:
    add("app", "word")
    engine.tag("app", "alias")
    add("other", "word", "ENV A=b")
    add("app", "newer")
    usage = engine.disk_usage()
    sizes = sum((engine.images.root / "blobs/sha256" / name[7:]).stat().st_size for name in blobs(engine))

    assert (usage.images.total, usage.images.active) == (3, 3)
    assert usage.images.size == sizes
    assert usage.images.reclaimable == 0
    assert {row.shared > 0 for row in usage.details if row.repository in ("alias", "other")} == {True}
    assert all(row.size == row.shared + row.unique for row in usage.details)
    engine.remove("alias")
    assert engine.disk_usage().images.total == 2


def test_reclaimable_is_what_a_prune_would_free(engine: Engine, add: Add, clock: Clock) -> None:
    add("app", "old")
    add("app", "new")
    told = engine.disk_usage().images.reclaimable

    assert told == engine.prune().reclaimed > 0


async def test_an_index_goes_with_all_its_platforms(engine: Engine, tmp_path: Path) -> None:
    layout = make.multi_platform(tmp_path / "made")
    with engine.images.session() as images:
        await copy(Layout(layout), images, "latest", to="multi")
    here = blobs(engine)
    engine.remove("multi")

    assert here == set(make.Layout(layout).reachable())
    assert blobs(engine) == set()


def test_import_of_what_is_no_tar_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(Invalid, match=re.escape("not a tar archive")):
        engine.import_(io.BytesIO(b"no tar at all" * 100), "app")

    assert blobs(engine) == set()
    assert os.listdir(engine.images.files.ingest) == []
    assert engine.rows() == []
