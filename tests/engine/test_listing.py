"""``image ls``: its lines, its order and its filters; ``inspect`` and ``history``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import images as make
import pytest
from engine.conftest import Clock
from hypothesis import given
from hypothesis import strategies as st

from dockyard.content.copy import copy
from dockyard.content.layout import Layout
from dockyard.engine.engine import Engine
from dockyard.engine.patterns import compiled, matches
from dockyard.errors import ImageUnknown, Invalid
from dockyard.oci.digest import Digest
from dockyard.oci.reference import parse_reference

Add = Callable[..., str]


def called(engine: Engine, *filters: tuple[str, str]) -> list[str]:
    return [f"{row.repository}:{row.tag}" for row in engine.rows(filters)]


def test_lines_are_by_age_and_then_by_name(engine: Engine, add: Add, clock: Clock) -> None:
    add("old", "old")
    clock.now += 60
    add("new:b", "new")
    engine.tag("new:b", "new:a")
    engine.tag("new:b", "also")

    assert called(engine) == ["also:latest", "new:a", "new:b", "old:latest"]


def test_a_line_says_what_docker_says(engine: Engine, add: Add, clock: Clock) -> None:
    image = add("localhost:5000/team/app:v1")
    (row,) = engine.rows()
    sizes = [descriptor.size for descriptor in engine.images.read(engine.images.entries.read()[0].digest).blobs]

    assert (row.repository, row.tag, row.digest, str(row.id)) == ("localhost:5000/team/app", "v1", "<none>", image)
    assert (row.created, row.size, row.platform) == (clock.now, sum(sizes), str(engine.context.platform))


def test_listing_again_reads_only_the_cache(engine: Engine, add: Add) -> None:
    add("app")
    first = engine.rows()
    entry = engine.images.entries.read()[0]
    engine.images.files.path(entry.digest).unlink()

    assert engine.rows() == first


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"version": 99, "facts": {}}', b'{"version": 1, "facts": {"x": 1}}']
)
def test_a_damaged_cache_is_made_anew(engine: Engine, add: Add, damage: bytes) -> None:
    add("app")
    first = engine.rows()
    (engine.images.root / "facts.json").write_bytes(damage)

    assert engine.rows() == first
    assert engine.rows() == first


def test_digests_are_shown_for_the_repository_that_knows_them(engine: Engine, add: Add) -> None:
    add("localhost:5000/app:v1")
    engine.tag("localhost:5000/app:v1", "other")
    entry = engine.images.entries.read()[0]
    engine.images.alias(entry, parse_reference(f"localhost:5000/app@{entry.digest}"))

    assert [(row.repository, row.tag, row.digest) for row in engine.rows(digests=True)] == [
        ("localhost:5000/app", "v1", str(entry.digest)),
        ("other", "latest", "<none>"),
    ]
    engine.images.entries.write(engine.images.entries.read()[-1:])
    assert [(row.repository, row.tag) for row in engine.rows()] == [("localhost:5000/app", "<none>")]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("app", {"app:v1", "app:v2"}),
        ("app:v1", {"app:v1"}),
        ("app:*", {"app:v1", "app:v2"}),
        ("a*", {"app:v1", "app:v2"}),
        ("*", {"app:v1", "app:v2"}),
        ("*/*", {"team/app:v1"}),
        ("*/*/*", {"localhost:5000/team/app:v1"}),
        ("team/a?p", {"team/app:v1"}),
        ("[a-b]pp:v[!2]", {"app:v2"}),
        ("[a-b]pp:v[^2]", {"app:v1"}),
        ("docker.io/library/app:v2", {"app:v2"}),
        ("localhost:5000/team/app", {"localhost:5000/team/app:v1"}),
        ("nothing", set()),
    ],
)
def test_the_reference_filter_takes_patterns(engine: Engine, add: Add, pattern: str, found: set[str]) -> None:
    add("app:v1")
    for name in ("app:v2", "team/app:v1", "localhost:5000/team/app:v1"):
        engine.tag("app:v1", name)
    add(None, "nameless")

    assert set(called(engine, ("reference", pattern))) == found


def test_several_patterns_are_alternatives(engine: Engine, add: Add) -> None:
    add("one"), add("two", "two"), add("three", "three")

    assert set(called(engine, ("reference", "one"), ("reference", "t*o"))) == {"one:latest", "two:latest"}


@pytest.mark.parametrize("pattern", ["[", "[]", "[a", "a\\", "[b-a]", "[a-]"])
def test_a_malformed_pattern_is_refused(engine: Engine, add: Add, pattern: str) -> None:
    add("app")
    with pytest.raises(Invalid, match="syntax error in pattern"):
        engine.rows([("reference", pattern)])


@given(st.text("ab*/?.:", max_size=12), st.text("ab/.:", max_size=12))
def test_a_star_never_crosses_a_slash(pattern: str, text: str) -> None:
    if compiled(pattern).fullmatch(text):
        assert pattern.count("/") == text.count("/")


def test_the_other_filters_are_docker_s(engine: Engine, add: Add, clock: Clock) -> None:
    for name in ("first", "second", "third"):
        clock.now += 60
        add(name, name, f"LABEL name={name}", "LABEL any=x")
    add("second", "newer", "LABEL any=x")
    (dangling,) = [str(row.id) for row in engine.rows() if row.tag == "<none>"]

    assert set(called(engine, ("before", "third"))) == {"first:latest", "<none>:<none>"}
    assert set(called(engine, ("since", "first"))) == {"<none>:<none>", "second:latest", "third:latest"}
    assert set(called(engine, ("since", dangling[:20]))) == {"second:latest", "third:latest"}
    assert called(engine, ("dangling", "true")) == ["<none>:<none>"]
    assert "<none>:<none>" not in called(engine, ("dangling", "false"))
    assert called(engine, ("label", "name=first")) == ["first:latest"]
    assert called(engine, ("label", "name"), ("label", "name=third")) == ["third:latest"]
    assert called(engine, ("until", "90s")) == ["first:latest"]
    assert called(engine, ("label", "any=x"), ("dangling", "0"), ("before", "third")) == ["first:latest"]


def test_filters_that_say_nothing_valid_are_refused(engine: Engine, add: Add) -> None:
    add("app")
    for filters in ([("name", "app")], [("dangling", "x")], [("until", "x")], [("dangling", "1"), ("dangling", "0")]):
        with pytest.raises(Invalid, match="invalid filter"):
            engine.rows(filters)
    with pytest.raises(ImageUnknown):
        engine.rows([("before", "nothing")])


def test_inspect_has_docker_s_fields(engine: Engine, add: Add) -> None:
    image = add("app:v1", "word", 'CMD ["sh"]', "ENV A=b", "LABEL k=v", "USER me")
    engine.tag("app:v1", "localhost:5000/app")
    found = engine.inspect("app:v1")

    assert found["Id"] == image
    assert found["RepoTags"] == ["app:v1", "localhost:5000/app:latest"]
    assert found["RepoDigests"] == []
    assert found["Config"] == {"Cmd": ["sh"], "Env": ["A=b"], "Labels": {"k": "v"}, "User": "me"}
    assert (found["Os"], found["Architecture"]) == ("linux", engine.context.platform.architecture)
    assert found["RootFS"]["Layers"] == [make.sha256(make.tar([("word.txt", b"word" * 100)]))]
    assert found["Created"] == "2027-01-15T08:00:00Z"


def test_history_has_a_line_for_each_step_the_newest_first(engine: Engine, add: Add) -> None:
    image = add("app:v1")
    (row,) = engine.history("app:v1")

    assert (row.id, row.comment, row.tags, row.created) == (image, "Imported from -", ("app:v1",), 1_800_000_000.0)
    assert row.size > 0


async def test_history_gives_layers_to_the_steps_that_made_them(engine: Engine, tmp_path: Path) -> None:
    layout = make.Layout(tmp_path / "made")
    archives = [make.tar([(f"{number}.txt", b"x" * 1000 * number)]) for number in (1, 2)]
    layers = [layout.blob(make.gzipped(archive), make.GZIP) for archive in archives]
    config = make.AMD64 | {
        "rootfs": {"type": "layers", "diff_ids": [*map(make.sha256, archives)]},
        "history": [
            {"created_by": "ADD rootfs", "created": "2026-01-01T00:00:00Z"},
            {"created_by": "ENV A=b", "empty_layer": True},
            {"created_by": "RUN make", "comment": "buildkit"},
        ],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": make.MANIFEST,
        "config": layout.json(config, make.CONFIG),
        "layers": layers,
    }
    layout.name(layout.json(manifest, make.MANIFEST))
    with engine.images.session() as images:
        await copy(Layout(layout.folder), images, "latest", to="app")
    rows = engine.history("app")

    assert [(row.created_by, row.size) for row in rows] == [
        ("RUN make", layers[1]["size"]), ("ENV A=b", 0), ("ADD rootfs", layers[0]["size"]),
    ]  # fmt: skip
    assert [row.id for row in rows] == [str(engine.resolve_id("app")), "<missing>", "<missing>"]


async def test_an_index_is_the_image_of_this_machine_s_platform(engine: Engine, tmp_path: Path) -> None:
    layout = make.multi_platform(tmp_path / "made")
    with engine.images.session() as images:
        await copy(Layout(layout), images, "latest", to="multi")
    fields = make.Layout(layout)
    children = {
        child["platform"]["architecture"]: child
        for child in json.loads(fields.manifest())["manifests"]
        if child["platform"]["os"] == "linux"
    }
    mine = children[engine.context.platform.architecture]

    assert str(engine.resolve_id("multi")) == json.loads(fields.read(mine["digest"]))["config"]["digest"]
    assert len(engine.inspect("multi")["Manifests"]) == 4


async def test_an_artifact_is_known_by_the_digest_of_its_manifest(engine: Engine, tmp_path: Path) -> None:
    layout = make.artifact(tmp_path / "made")
    with engine.images.session() as images:
        await copy(Layout(layout), images, "sbom", to="sbom")
    (row,) = engine.rows()

    assert row.id == Digest.of(make.Layout(layout).manifest("sbom"))
    assert row.created == 1767225600.0
    assert engine.inspect("sbom")["Id"] == str(row.id)
    assert engine.history("sbom")[0].id == str(row.id)


def test_a_short_name_matches_under_the_setting_and_under_docker_hub() -> None:
    ours, theirs = parse_reference("localhost:5000/app:1"), parse_reference("app:1")

    assert [matches("app", name, "localhost:5000") for name in (ours, theirs)] == [True, True]
    assert [matches("app", name, "docker.io") for name in (ours, theirs)] == [False, True]
