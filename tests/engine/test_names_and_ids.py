"""What a name, an ID or a digest means, and what ``tag`` does to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from engine.stores import blobs, complete

from dockyard.engine.engine import Engine
from dockyard.engine.naming import full_name
from dockyard.errors import ImageUnknown, Invalid, ManifestBlobUnknown, NameInvalid, TagInvalid
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import make_image

Add = Callable[..., str]


def names(engine: Engine) -> list[str]:
    return sorted(full_name(entry) for entry in engine.images.entries.read())


def test_a_tag_is_an_alias_and_nothing_is_copied(engine: Engine, add: Add) -> None:
    image = add("tweet-app")
    before = blobs(engine)
    engine.tag("tweet-app", "sixeyed/tweet-app:v1")

    assert blobs(engine) == before
    assert {str(engine.resolve_id(name)) for name in ("tweet-app", "sixeyed/tweet-app:v1", image, image[7:15])} == {
        image
    }
    assert names(engine) == ["docker.io/library/tweet-app:latest", "docker.io/sixeyed/tweet-app:v1"]


def test_a_tag_that_moves_leaves_the_old_image_without_a_name(engine: Engine, add: Add) -> None:
    old, new = add("app", "old"), add("app", "new")

    assert str(engine.resolve_id("app")) == new
    assert [(row.repository, row.tag, str(row.id)) for row in engine.rows() if row.tag == "<none>"] == [
        ("<none>", "<none>", old)
    ]


def test_an_image_that_gets_a_name_again_is_not_listed_without_one(engine: Engine, add: Add) -> None:
    old = add("app", "old")
    add("app", "new")
    engine.tag(old[7:19], "again:1")

    assert [row.repository for row in engine.rows()].count("<none>") == 0
    assert names(engine) == ["docker.io/library/again:1", "docker.io/library/app:latest"]


def test_importing_the_same_again_changes_nothing(engine: Engine, add: Add) -> None:
    add(None), add(None), add("app"), add("app"), add(None)

    assert names(engine) == ["docker.io/library/app:latest"]


@pytest.mark.parametrize("text", ["nothing", "app:v2", "f" * 12, "sha256:" + "f" * 64, "app@sha256:" + "a" * 64])
def test_what_is_not_there_is_named_as_docker_names_it(engine: Engine, add: Add, text: str) -> None:
    add("app")
    with pytest.raises(ImageUnknown, match=r"^No such image: "):
        engine.inspect(text)


def test_the_unknown_name_is_shown_with_its_tag(engine: Engine) -> None:
    with pytest.raises(ImageUnknown) as unknown:
        engine.tag("tweet-app", "x")

    assert unknown.value.message == "No such image: tweet-app:latest"


@pytest.mark.parametrize(("text", "error"), [("UPPER", NameInvalid), ("a:b:c", TagInvalid), ("", NameInvalid)])
def test_what_is_no_name_is_refused_as_such(engine: Engine, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        engine.inspect(text)


def test_too_few_digits_of_an_id_are_refused(engine: Engine, add: Add) -> None:
    ids: dict[str, str] = {}
    number = 0
    while len(ids) == number:  # until two begin alike
        found = add(None, f"word{number}")
        ids.setdefault(found[7], found)
        number += 1
    with pytest.raises(Invalid, match="multiple IDs found with provided prefix"):
        engine.resolve_id(found[7])

    assert str(engine.resolve_id(found[7:25])) == found


def test_a_name_wins_over_an_id_that_looks_alike(engine: Engine, add: Add) -> None:
    other = add("other", "other")
    named = add(other[7:15], "named")

    assert str(engine.resolve_id(other[7:15])) == named
    assert str(engine.resolve_id(other[7:16])) == other


def test_a_plain_name_means_the_default_registry_and_then_docker_hub(
    open_engine: Callable[..., Engine], add: Add
) -> None:
    hub = open_engine(default_registry="localhost:5000")
    theirs = add("alpine", "theirs")
    before = str(hub.resolve_id("alpine"))
    ours = add("alpine", "ours", into=hub)

    assert before == theirs
    assert str(hub.resolve_id("alpine")) == ours
    assert str(hub.resolve_id("docker.io/library/alpine")) == theirs
    assert {row.repository for row in hub.rows()} == {"alpine", "docker.io/library/alpine"}
    assert names(hub) == ["docker.io/library/alpine:latest", "localhost:5000/alpine:latest"]


def test_a_digest_can_be_no_new_name(engine: Engine, add: Add) -> None:
    add("app")
    with pytest.raises(NameInvalid, match="digest reference"):
        engine.tag("app", "new@sha256:" + "a" * 64)


def test_the_newest_of_several_manifests_with_one_id_is_tagged(engine: Engine, add: Add) -> None:
    image = add("app")
    old = engine.images.entries.read()[-1]
    manifest = engine.images.read(old.digest)
    again = replace(manifest, raw=manifest.raw + b"\n")  # the same image in other bytes
    with engine.images.session() as images:
        images.keep(again)
        images.name(again.descriptor, engine.names.expand("app:again"))
    engine.tag(image, "new")

    assert engine.images.entries.read()[-1].digest == again.digest
    assert len({entry.digest for entry in engine.images.entries.read()}) == 2


async def test_a_name_is_never_given_to_what_is_incomplete(engine: Engine, add: Add) -> None:
    add("app")
    config = engine.images.read(engine.images.entries.read()[0].digest).config
    assert config
    lost = make_image(config, [Descriptor("application/vnd.oci.image.layer.v1.tar", Digest.of(b"lost"), 4)])
    with engine.images.session() as images:
        for name in ("app:latest", None):
            with pytest.raises(ManifestBlobUnknown, match="sha256:"):
                await images.put(lost, name)

    assert names(engine) == ["docker.io/library/app:latest"]
    assert complete(engine)


def test_names_that_other_tools_wrote_are_understood(engine: Engine, add: Add) -> None:
    add("app")
    entries = engine.images.entries.read()
    odd = [
        replace(entries[0], annotations={"org.opencontainers.image.ref.name": name}) for name in ("latest", "No Name!")
    ]
    with engine.images.locked():
        engine.images.entries.write([*entries, *odd])

    assert names(engine) == ["", "docker.io/library/app:latest", "docker.io/library/latest:latest"]
    assert len(engine.rows()) == 2
    assert re.search("^Untagged: latest:latest$", "\n".join(map(str, engine.remove("latest"))), re.M)


def test_reading_an_engine_that_was_never_used_makes_nothing(engine: Engine, tmp_path: object) -> None:
    assert engine.rows() == []
    assert engine.disk_usage().images.total == 0
    assert not engine.images.root.exists()


def test_a_store_is_its_owners_alone(engine: Engine, add: Add) -> None:
    import os

    mask = os.umask(0)
    try:
        add("app")
    finally:
        os.umask(mask)
    folders = [engine.images.root, *engine.images.root.parents][:3]

    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3
