"""Push and pull against a real hub: what moves, what is named, what is remembered."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import images as make
import pytest
from engine.stores import blobs, complete
from servers import Hub

from dockyard.content.copy import copy
from dockyard.content.credentials import FixedLogin
from dockyard.content.http import RegistryClient
from dockyard.content.layout import Layout
from dockyard.content.plan import Fate
from dockyard.content.protocols import Event, Status
from dockyard.engine.engine import Engine
from dockyard.engine.naming import full_name, index_of
from dockyard.errors import ImageUnknown, Invalid, ManifestUnknown, Unsupported
from dockyard.oci.platform import Platform
from dockyard.oci.reference import parse_reference

Add = Callable[..., str]


def connect(host: str) -> RegistryClient:
    return RegistryClient(host, credentials=FixedLogin())


@pytest.fixture
def name(hub: Hub, request: pytest.FixtureRequest) -> str:
    """A repository of this test's own on the hub."""
    return f"{hub.host}/engine/t{os.getpid()}-{abs(hash(request.node.name)) % 10**8}"


async def put(engine: Engine, layout: Path, name: str) -> None:
    with engine.images.session() as images:
        await copy(Layout(layout), images, "latest", to=name)


async def test_what_was_pushed_is_pulled_elsewhere_with_the_same_id(
    open_engine: Callable[..., Engine], name: str, tmp_path: Path
) -> None:
    here, there = open_engine("here"), open_engine("there")
    await put(here, make.busybox(tmp_path / "made"), f"{name}:v1")
    (reference,) = here.push_references(f"{name}:v1")
    pushed = await here.push(reference, connect)
    pulled = await there.pull(there.pull_reference(f"{name}:v1"), connect)
    again = await there.pull(there.pull_reference(f"{name}:v1"), connect)

    assert pushed.digest == pulled.digest
    assert (pulled.updated, again.updated) == (True, False)
    assert pulled.id == here.resolve_id(f"{name}:v1")
    assert blobs(there) == blobs(here)
    assert complete(there)
    assert os.listdir(there.images.root / "leases") == []


async def test_both_sides_know_the_digest_afterwards(open_engine: Callable[..., Engine], name: str, add: Add) -> None:
    here, there = open_engine("here"), open_engine("there")
    add(f"{name}:v1", into=here)
    before = [row.digest for row in here.rows(digests=True)]
    pushed = await here.push(parse_reference(f"{name}:v1"), connect)
    await there.pull(parse_reference(f"{name}:v1"), connect)

    assert before == ["<none>"]
    for engine in (here, there):
        assert [(row.tag, row.digest) for row in engine.rows(digests=True)] == [("v1", str(pushed.digest))]
        assert engine.inspect(f"{name}@{pushed.digest}")["RepoDigests"] == [f"{name}@{pushed.digest}"]
        assert [row.tag for row in engine.rows()] == ["v1"]


async def test_one_platform_is_pulled_and_the_index_is_remembered(
    open_engine: Callable[..., Engine], name: str, tmp_path: Path
) -> None:
    here, there = open_engine("here"), open_engine("there")
    layout = make.multi_platform(tmp_path / "made")
    await put(here, layout, f"{name}:v1")
    pushed = await here.push(parse_reference(f"{name}:v1"), connect)
    pulled = await there.pull(parse_reference(f"{name}:v1"), connect)
    entries = there.images.entries.read()

    assert str(pushed.digest) == str(pulled.digest) == make.Layout(layout).find()["digest"]
    assert {index_of(entry) for entry in entries} == {pulled.digest}
    assert not there.images.read(entries[0].digest).is_index
    assert there.images.read(pulled.digest).is_index
    assert len(blobs(there)) == 5  # the index, a manifest, a config and two layers
    assert there.resolve_id(f"{name}@{pulled.digest}") == pulled.id == here.resolve_id(f"{name}:v1")
    assert [row.digest for row in there.rows(digests=True)] == [str(pulled.digest)]
    assert not (await there.pull(parse_reference(f"{name}:v1"), connect)).updated
    there.prune()
    assert there.images.read(pulled.digest).is_index
    there.remove(f"{name}:v1")
    assert blobs(there) == set()


async def test_a_platform_may_be_asked_for_and_all_of_them(
    open_engine: Callable[..., Engine], name: str, tmp_path: Path
) -> None:
    here, arm, whole = open_engine("here"), open_engine("arm"), open_engine("whole")
    await put(here, make.multi_platform(tmp_path / "made"), f"{name}:v1")
    await here.push(parse_reference(f"{name}:v1"), connect)
    await arm.pull(parse_reference(f"{name}:v1"), connect, platform=Platform.parse("linux/arm/v7"))
    await whole.pull(parse_reference(f"{name}:v1"), connect, all_platforms=True)

    assert [row.platform for row in arm.rows()] == ["linux/arm/v7"]
    assert blobs(whole) == blobs(here)
    with pytest.raises(ManifestUnknown, match="no matching manifest for linux/s390x"):
        await arm.pull(parse_reference(f"{name}:v1"), connect, platform=Platform.parse("linux/s390x"))
    assert complete(arm)


async def test_an_image_of_another_system_is_refused_with_a_way_out(
    open_engine: Callable[..., Engine], name: str, add: Add
) -> None:
    from dockyard.engine.contexts import Contexts

    here = open_engine("here")
    Contexts(here.images.root.parent.parent).create("windows", Platform.parse("windows/amd64"))
    windows = open_engine("here", context="windows")
    add(f"{name}:win", into=windows)
    await windows.push(parse_reference(f"{name}:win"), connect)
    with pytest.raises(Invalid, match="does not match linux") as refused:
        await here.pull(parse_reference(f"{name}:win"), connect)
    await here.pull(parse_reference(f"{name}:win"), connect, platform=Platform.parse("windows/amd64"))

    assert refused.value.hint and "--platform windows/amd64" in refused.value.hint
    assert [row.platform for row in here.rows()] == ["windows/amd64"]


async def test_a_pull_by_digest_names_the_digest_alone(open_engine: Callable[..., Engine], name: str, add: Add) -> None:
    here, there = open_engine("here"), open_engine("there")
    add(f"{name}:v1", into=here)
    pushed = await here.push(parse_reference(f"{name}:v1"), connect)
    pulled = await there.pull(there.pull_reference(f"{name}@{pushed.digest}"), connect)

    assert [full_name(entry) for entry in there.images.entries.read()] == [f"{name}@{pushed.digest}"]
    assert [(row.repository, row.tag) for row in there.rows()] == [(name, "<none>")]
    assert pulled.id == here.resolve_id(f"{name}:v1")
    with pytest.raises(Unsupported, match="cannot push a digest reference"):
        await there.push(parse_reference(f"{name}@{pushed.digest}"), connect)


async def test_a_tag_that_moved_leaves_the_old_image_under_its_digest(
    open_engine: Callable[..., Engine], name: str, add: Add
) -> None:
    here, there = open_engine("here"), open_engine("there")
    add(f"{name}:v1", "old", into=here)
    old = await here.push(parse_reference(f"{name}:v1"), connect)
    await there.pull(parse_reference(f"{name}:v1"), connect)
    add(f"{name}:v1", "new", into=here)
    new = await here.push(parse_reference(f"{name}:v1"), connect)
    pulled = await there.pull(parse_reference(f"{name}:v1"), connect)

    assert pulled.updated and pulled.digest == new.digest != old.digest
    rows = [(row.tag, row.digest) for row in there.rows(digests=True)]
    assert sorted(rows) == sorted([("v1", str(new.digest)), ("<none>", str(old.digest))])
    assert [str(record)[:8] for record in there.prune().removed] == ["Untagged", "Deleted:"]
    assert complete(there)


async def test_layers_are_mounted_from_where_they_were_pushed_before(
    open_engine: Callable[..., Engine], name: str, tmp_path: Path
) -> None:
    engine = open_engine()
    await put(engine, make.small(tmp_path / "made", "one", "two"), f"{name}-first:v1")
    engine.tag(f"{name}-first:v1", f"{name}-second:v1")
    events: list[Event] = []
    before = await engine.plan_push(parse_reference(f"{name}-first:v1"), connect)
    await engine.push(parse_reference(f"{name}-first:v1"), connect)
    known = await engine.plan_push(parse_reference(f"{name}-first:v1"), connect)
    mountable = await engine.plan_push(parse_reference(f"{name}-second:v1"), connect)
    await engine.push(parse_reference(f"{name}-second:v1"), connect, on_event=events.append)

    assert [{blob.fate for blob in plan.blobs} for plan in (before, known, mountable)] == [
        {Fate.UPLOAD}, {Fate.KNOWN}, {Fate.MOUNTABLE},
    ]  # fmt: skip
    assert (known.bytes, mountable.bytes) == (0, 0) and before.bytes > 0
    ends = {event.blob.digest: event for event in events}
    assert {event.status for event in ends.values()} == {Status.MOUNTED}
    assert {event.detail for event in ends.values()} == {f"{name}-first".partition("/")[2]}


async def test_all_tags_of_a_repository_are_pushed_and_listed(
    open_engine: Callable[..., Engine], name: str, add: Add
) -> None:
    here, there = open_engine("here"), open_engine("there")
    add(f"{name}:v1", "one", into=here), add(f"{name}:v2", "two", into=here)
    references = here.push_references(name, all_tags=True)
    for reference in references:
        await here.push(reference, connect)
    remote = await there.remote_tags(parse_reference(name), connect)

    assert references == remote == [parse_reference(f"{name}:v1"), parse_reference(f"{name}:v2")]
    with pytest.raises(ImageUnknown, match="An image does not exist locally with the tag"):
        here.push_references("nothing", all_tags=True)


async def test_what_is_not_here_can_not_be_pushed(engine: Engine, name: str, add: Add) -> None:
    add(f"{name}:v1")
    (reference,) = engine.push_references(name)

    assert reference.tag == "latest"
    with pytest.raises(ImageUnknown, match=f"^tag does not exist: {name}:latest$"):
        await engine.push(reference, connect)
    with pytest.raises(ImageUnknown, match=f"^An image does not exist locally with the tag: {name}/other$"):
        await engine.push(engine.push_references(f"{name}/other")[0], connect)


async def test_an_image_that_is_removed_while_it_is_pushed_goes_over_whole(
    open_engine: Callable[..., Engine], name: str, tmp_path: Path
) -> None:
    here, there = open_engine("here"), open_engine("there")
    await put(here, make.small(tmp_path / "made", *(str(number) for number in range(20))), f"{name}:v1")
    image = here.resolve_id(f"{name}:v1")
    removed: list[object] = []

    def remove(event: Event) -> None:
        if not removed:
            removed.extend(open_engine("here").remove(f"{name}:v1"))

    await here.push(parse_reference(f"{name}:v1"), connect, on_event=remove)
    pulled = await there.pull(parse_reference(f"{name}:v1"), connect)
    here.prune(all_unused=True)

    assert removed and pulled.id == image
    assert here.rows() == []
    assert blobs(here) == set()
