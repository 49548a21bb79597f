"""Whole builds through the engine: what comes out, what is done again, and what is kept."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import images as make
import pytest
from engine.builds import Builds
from engine.stores import blobs, complete

from dockyard.engine.build_events import Output, Progress
from dockyard.errors import BuildFailed, DockerfileInvalid
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.engine.engine import Engine


async def test_files_go_from_the_context_into_an_image_with_its_name(builds: Builds) -> None:
    (builds.folder / "hello").write_text("hello")
    built = await builds('FROM scratch\nCOPY hello /greet/\nCMD ["/greet/hello"]\n', tags=["team/hello:1"])

    assert builds.engine.resolve_id("team/hello:1") == built.image_id
    assert builds.config(built)["config"]["Cmd"] == ["/greet/hello"]
    assert sorted(builds.files(built)) == ["greet", "greet/hello"]
    assert complete(builds.engine)


async def test_the_same_input_makes_the_same_image_whenever_and_wherever_it_is_built(
    open_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    ids = set()
    for name in ("one", "two"):
        builds = Builds(open_engine(name), tmp_path / f"context-{name}")
        for file in ("b", "a"):
            (builds.folder / file).write_text(file)
            os.utime(builds.folder / file, (1_700_000_000, 1_700_000_000))
        ids.add(str((await builds("FROM scratch\nWORKDIR /w\nCOPY a b ./x/\nENV A=b\n")).digest))

    assert len(ids) == 1


async def test_what_was_built_before_is_looked_up_and_makes_the_same_image(builds: Builds) -> None:
    (builds.folder / "file").write_text("1")
    text = "FROM scratch\nCOPY file /\nWORKDIR /a\nCOPY file /b\n"
    first = await builds(text)
    os.utime(builds.folder / "file", (1, 1))
    again = await builds("# another comment\n" + text)

    assert again == first
    assert builds.names(Progress.CACHED) == ["[1/3] COPY file /", "[2/3] WORKDIR /a", "[3/3] COPY file /b"]


async def test_a_changed_file_is_copied_anew_with_all_that_comes_after_it(builds: Builds) -> None:
    for name in ("a", "b", "c"):
        (builds.folder / name).write_text(name)
    text = "FROM scratch\nCOPY a /\nCOPY b /\nCOPY c /\n"
    first = await builds(text)
    (builds.folder / "b").write_text("other")
    second = await builds(text)

    assert builds.names(Progress.CACHED) == ["[1/3] COPY a /"]
    assert second.image_id != first.image_id


async def test_frames_of_another_compression_are_not_used_again(builds: Builds) -> None:
    (builds.folder / "file").write_text("1" * 100_000)
    built = {}
    for compression in ("gzip", "zstd", "gzip"):
        built[compression] = await builds("FROM scratch\nCOPY file /\n", no_cache=True, compression=compression)
        (layer,) = json.loads(builds.layout.read(str(built[compression].digest)))["layers"]
        magic = builds.layout.read(layer["digest"])[:4]

        assert layer["mediaType"].endswith(f"+{compression}")
        assert magic[:2] == b"\x1f\x8b" if compression == "gzip" else magic == b"\x28\xb5\x2f\xfd"

    assert built["gzip"].image_id == built["zstd"].image_id


async def test_without_cache_every_step_is_done_again(builds: Builds) -> None:
    (builds.folder / "a").write_text("a")
    await builds("FROM scratch\nCOPY a /\n")
    await builds(no_cache=True)

    assert builds.names(Progress.CACHED) == []


async def test_stages_that_the_target_does_not_need_are_left_out(builds: Builds) -> None:
    (builds.folder / "a").write_text("a")
    await builds(
        "FROM scratch AS unused\nCOPY missing /\nFROM scratch AS files\nCOPY a /\n"
        "FROM scratch\nCOPY --from=files / /x/\n"
    )

    assert [name for name in builds.names(Progress.STARTED) if name.startswith("[")] == [
        "[files 1/1] COPY a /",
        "[stage-2 1/1] COPY --from=files / /x/",
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("busybox")
async def test_a_command_runs_and_what_it_changed_is_the_layer(builds: Builds) -> None:
    built = await builds("FROM busybox\nUSER app\nRUN cat /etc/passwd > /tmp/seen; echo out; echo err >&2\nUSER 0\n")
    output = b"".join(event.data for event in builds.events if event.progress is Progress.OUTPUT)

    assert sorted(builds.files(built)) == ["tmp", "tmp/seen"] or "tmp/seen" not in builds.files(built)
    assert {b"out\n", b"err\n"} <= set(output.splitlines(keepends=True))


@pytest.mark.slow
@pytest.mark.usefixtures("busybox")
async def test_files_of_a_stage_are_copied_and_links_at_the_destination_followed(builds: Builds) -> None:
    built = await builds(
        "FROM busybox AS make\nRUN echo made > /usr/made && mkdir /d && echo x > /d/x\n"
        "FROM busybox\nCOPY --from=make --chown=app /usr/made /bin/\nCOPY --from=make /d /d\n"
    )

    assert sorted(builds.files(built, -2)) == ["usr/bin/made"]
    assert builds.files(built, -2)["usr/bin/made"].uid == 1234
    assert sorted(builds.files(built, -1)) == ["d", "d/x"]


@pytest.mark.slow
@pytest.mark.usefixtures("busybox")
async def test_a_command_that_fails_says_where_and_leaves_nothing(builds: Builds) -> None:
    before = blobs(builds.engine)
    with pytest.raises(BuildFailed, match="did not complete successfully: exit code: 7") as caught:
        await builds("FROM busybox\nRUN exit 7\n")

    assert (caught.value.exit_code, caught.value.line, caught.value.lines[1]) == (7, 2, "RUN exit 7")
    assert blobs(builds.engine) == before
    assert not list(Path(builds.engine.context.folder).glob("snapshots/work-*"))


@pytest.mark.slow
@pytest.mark.usefixtures("busybox")
async def test_secrets_and_the_context_are_mounted_and_stay_out_of_the_image(builds: Builds) -> None:
    from dockyard.engine.build_events import Secret

    (builds.folder / "note").write_text("from the context")
    (builds.folder / ".dockerignore").write_text("ignored\n")
    (builds.folder / "ignored").write_text("never seen")
    built = await builds(
        "FROM busybox\nRUN --mount=type=secret,id=key --mount=type=bind,target=/ctx "
        "cat /run/secrets/key /ctx/note; cat /ctx/ignored || echo not there\n",
        secrets=[Secret("key", b"canary-5150")],
    )
    output = b"".join(event.data for event in builds.events if event.progress is Progress.OUTPUT)
    store = Path(builds.engine.context.folder)

    assert b"canary-5150" in output and b"from the context" in output and b"not there" in output
    assert "run/secrets/key" not in builds.files(built) and "ctx" not in builds.files(built)
    assert not [path for path in store.rglob("*") if path.is_file() and b"canary-5150" in path.read_bytes()]


@pytest.mark.slow
@pytest.mark.usefixtures("busybox")
async def test_the_history_of_an_image_can_not_poison_the_cache(builds: Builds) -> None:
    text = "FROM busybox\nRUN echo real > /tmp/real\n"
    first = await builds(text)
    # An image that says it is the result of the same instruction.
    layout = make.Layout(Path(builds.engine.context.folder))
    forged = builds.config(first)
    assert forged["history"][-1]["created_by"].startswith("RUN")
    builds.engine.prune_build_cache(all=True)
    await builds(text)

    assert builds.names(Progress.CACHED) == ["[1/2] FROM docker.io/library/busybox:latest"]
    assert layout


async def test_several_platforms_make_an_index_of_each_ones_own_files(builds: Builds) -> None:
    for name in ("amd64", "arm64"):
        (builds.folder / name).write_text(name)
    built = await builds(
        "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n",
        platforms=[Platform.parse("linux/amd64"), Platform.parse("linux/arm64")],
        tags=["many"],
    )
    layout = make.Layout(Path(builds.engine.context.folder))
    index = json.loads(layout.read(str(built.digest)))
    found = {}
    for child in index["manifests"]:
        manifest = json.loads(layout.read(child["digest"]))
        with tarfile.open(layout.path(manifest["layers"][0]["digest"])) as archive:
            content = archive.extractfile("arch")
            assert content
            found[child["platform"]["architecture"]] = content.read().decode()

    assert found == {"amd64": "amd64", "arm64": "arm64"}


@pytest.mark.parametrize("kind", ["oci", "docker", "tar", "local"])
async def test_the_result_goes_where_it_was_asked_for(builds: Builds, tmp_path: Path, kind: str) -> None:
    (builds.folder / "a").write_text("a")
    dest = tmp_path / "out"
    await builds("FROM scratch\nCOPY a /d/\n", outputs=[Output(kind, str(dest))], tags=["named:1"])

    if kind == "local":
        assert (dest / "d/a").read_text() == "a"
        return
    with tarfile.open(dest) as archive:
        names = archive.getnames()
    assert ("d/a" if kind == "tar" else "index.json") in names
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


async def test_layers_of_the_cache_stay_when_images_go_and_go_with_the_cache(builds: Builds) -> None:
    (builds.folder / "a").write_text("a")
    await builds("FROM scratch\nCOPY a /\n", tags=["one"])
    builds.engine.remove("one")
    await builds(tags=["two"])

    assert builds.names(Progress.CACHED) == ["[1/1] COPY a /"]
    builds.engine.remove("two")
    assert len(builds.engine.build_cache()) == 1
    assert builds.engine.prune_build_cache(all=True).reclaimed > 0
    assert blobs(builds.engine) == set()
    assert builds.engine.build_cache() == []


async def test_a_cache_of_another_machine_saves_the_work(
    builds: Builds, open_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    from dockyard.engine.build_events import CachePlace

    (builds.folder / "a").write_text("a")
    place = CachePlace("local", str(tmp_path / "cache"), "max")
    first = await builds("FROM scratch\nCOPY a /\n", cache_to=[place])
    other = Builds(open_engine("elsewhere"), tmp_path / "other")
    (other.folder / "a").write_text("a")
    os.utime(other.folder / "a", (5, 5))
    second = await other("FROM scratch\nCOPY a /\n", cache_from=[place])

    assert other.names(Progress.CACHED) == ["[1/1] COPY a /"]
    assert second.image_id == first.image_id


async def test_build_arguments_that_nothing_declares_are_told_of(builds: Builds) -> None:
    (builds.folder / "a").write_text("a")
    await builds("FROM scratch\nARG USED\nCOPY a /\n", build_args={"USED": "1", "OTHER": "2"})
    warnings = [event.detail for event in builds.events if event.progress is Progress.WARNING]

    assert warnings == ["[Warning] One or more build-args [OTHER] were not consumed"]


async def test_an_unknown_instruction_is_an_error_of_the_file(builds: Builds) -> None:
    with pytest.raises(DockerfileInvalid, match="Dockerfile:2:1"):
        await builds("FROM scratch\nCOPPY a b\n")


async def test_what_should_be_otherwise_in_a_dockerfile_is_told_and_can_be_an_error(builds: Builds) -> None:
    text = "FROM scratch AS One\nLABEL a=b\n"
    await builds(text)
    warnings = [event.detail for event in builds.events if event.progress is Progress.WARNING]

    assert warnings == ["StageNameCasing: Stage name 'One' should be lowercase (line 1)"]
    with pytest.raises(DockerfileInvalid, match="lint violation found for rules: StageNameCasing"):
        await builds(f"# check=error=true\n{text}")


@pytest.mark.slow
@pytest.mark.usefixtures("busybox")
async def test_a_command_runs_anew_where_its_hosts_or_what_its_cache_begins_with_changed(builds: Builds) -> None:
    text = "FROM busybox\nRUN cat /etc/hosts\n"
    await builds(text)
    await builds(text, add_hosts=["db:10.0.0.5"])

    assert builds.names(Progress.CACHED) == ["[1/2] FROM docker.io/library/busybox:latest"]
    seeded = (
        "FROM busybox AS s\nRUN echo {} > /seed\nFROM busybox\nRUN --mount=type=cache,target=/c,from=s cat /c/seed\n"
    )
    for value in ("first", "second"):
        await builds(seeded.format(value))
        output = b"".join(event.data for event in builds.events if event.progress is Progress.OUTPUT)
        assert output == f"{value}\n".encode()
