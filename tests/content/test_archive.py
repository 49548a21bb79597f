"""Archives of images: those of docker, podman and skopeo are read; lies are found out; ours are read by them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import images as make
import pytest
from servers import must

from dockyard.content.archive import Archive
from dockyard.content.copy import copy
from dockyard.content.layout import Layout
from dockyard.content.packing import NewArchive
from dockyard.content.streams import read_blob
from dockyard.errors import ArchiveInvalid, ManifestUnknown
from dockyard.oci import media_types
from dockyard.oci.digest import Digest

LAYERS = [make.tar([("one.txt", b"one")]), make.tar([("two.txt", b"two" * 5000)])]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def config(layers: Iterable[bytes] = LAYERS) -> bytes:
    diff_ids = [f"sha256:{digest(layer)}" for layer in layers]
    return json.dumps(make.AMD64 | {"config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()


def old(**changes: Any) -> dict[str, bytes | str]:
    """The files of an archive in the old form, as ``docker save`` made them until version 24; ``str`` is a link."""
    made = config()
    files: dict[str, bytes | str] = {}
    for number, layer in enumerate(LAYERS):
        files |= {f"{number}a/VERSION": b"1.0", f"{number}a/json": b"{}", f"{number}a/layer.tar": layer}
    files[f"{digest(made)}.json"] = made
    item = {"Config": f"{digest(made)}.json", "RepoTags": ["app:1"], "Layers": ["0a/layer.tar", "1a/layer.tar"]}
    files["manifest.json"] = json.dumps([item | changes.pop("item", {})]).encode()
    files["repositories"] = json.dumps({"app": {"1": "1a"}}).encode()
    return {name: content for name, content in (files | changes.pop("files", {})).items() if content is not None}


def packed(files: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[bytes], Archive]:
    def opener(data: bytes) -> Archive:
        path = tmp_path / "archive.tar"
        path.write_bytes(data)
        files.append(path.open("rb"))
        archives.append(Archive(files[-1], scratch=tmp_path))
        return archives[-1]

    files: list[Any] = []
    archives: list[Archive] = []
    yield opener  # type: ignore[misc]
    for held in [*archives, *files]:
        held.close()


async def test_the_old_form_becomes_an_image_with_the_same_id(opened: Callable[[bytes], Archive]) -> None:
    archive = opened(packed(old()))
    (image,) = archive.images
    manifest = await archive.manifest("app:1")
    layers = [await read_blob(archive, layer) for layer in manifest.layers]

    assert [str(name) for name in image.names] == ["docker.io/library/app:1"]
    assert manifest.config and manifest.config.digest == Digest.of(config())
    assert {layer.media_type for layer in manifest.layers} == {media_types.OCI_LAYER_GZIP}
    assert [gzip.decompress(layer) for layer in layers] == LAYERS


async def test_the_same_archive_gives_the_same_manifest_every_time(opened: Callable[[bytes], Archive]) -> None:
    manifests = [await opened(packed(old())).manifest("") for _ in range(2)]

    assert manifests[0].raw == manifests[1].raw


async def test_links_between_layers_are_followed_inside_the_archive(opened: Callable[[bytes], Archive]) -> None:
    files = old(files={"0a/layer.tar": "../layers/base.tar", "layers/base.tar": LAYERS[0]})

    assert len((await opened(packed(files)).manifest("")).layers) == 2


@pytest.mark.parametrize("link", ["../../base.tar", "/etc/passwd", "../../../etc/passwd", "layer.tar", "../nowhere"])
def test_links_that_lead_out_or_nowhere_are_refused(opened: Callable[[bytes], Archive], link: str) -> None:
    with pytest.raises(ArchiveInvalid, match=r"climbs out|not a file|no file"):
        opened(packed(old(files={"0a/layer.tar": link})))


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/../evil"])
def test_members_that_climb_out_are_refused(opened: Callable[[bytes], Archive], name: str) -> None:
    with pytest.raises(ArchiveInvalid, match="climbs out"):
        opened(packed(old(files={name: b"evil"})))


@pytest.mark.parametrize("program", ["gzip -c", "zstd -c"])
async def test_compressed_archives_and_compressed_layers_are_read(
    opened: Callable[[bytes], Archive], program: str, tmp_path: Path
) -> None:
    whole = subprocess.run(program.split(), input=packed(old()), stdout=subprocess.PIPE, check=True).stdout
    layer = subprocess.run(program.split(), input=LAYERS[0], stdout=subprocess.PIPE, check=True).stdout
    one = await opened(whole).manifest("")
    two = await opened(packed(old(files={"0a/layer.tar": layer}))).manifest("")

    assert one.config == two.config
    assert two.layers[0].digest == Digest.of(layer)  # kept as it came
    assert two.layers[0].media_type == f"application/vnd.oci.image.layer.v1.tar+{program.split()[0]}"


async def test_an_archive_comes_through_a_pipe(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.stdin and cat.stdout
        cat.stdin.write(packed(old()))
        cat.stdin.close()
        with Archive(cat.stdout, scratch=tmp_path) as archive:  # type: ignore[arg-type]
            assert len((await archive.manifest("app:1")).layers) == 2

    assert os.listdir(tmp_path) == []


def item(**changes: Any) -> dict[str, Any]:
    return {"item": changes}


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "another layer": ({"files": {"1a/layer.tar": LAYERS[0]}}, "not what the image's config says"),
    "a broken layer": ({"files": {"0a/layer.tar": gzip.compress(LAYERS[0])[:-9]}}, "broken gzip"),
    "an absent layer": ({"files": {"0a/layer.tar": None}}, "no file '0a/layer.tar'"),
    "a layer too few": (item(Layers=["0a/layer.tar"]), "1 layers for an image whose config .* says 2"),
    "an absent config": (item(Config="nowhere.json"), "no file 'nowhere.json'"),
    "a config outside": (item(Config="../../etc/passwd"), "climbs out"),
    "a config of no kind": (item(Config=7), "needs Config"),
    "layers of no kind": (item(Layers="0a/layer.tar"), "needs Config"),
    "a config that is no JSON": ({"files": {f"{digest(config())}.json": b"nonsense"}}, "not valid JSON"),
    "no list": ({"files": {"manifest.json": b'{"a": 1}'}}, "not a list of images"),
    "no JSON": ({"files": {"manifest.json": b"["}}, "not valid JSON"),
    "depth": ({"files": {"manifest.json": b"[" * 200_000}}, "not valid JSON"),
    "nothing": ({"files": {"manifest.json": None}}, "holds no images"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_docker_archive_is_found_out(opened: Callable[[bytes], Archive], lie: str) -> None:
    changes, says = LIES[lie]
    with pytest.raises(ArchiveInvalid, match=says):
        opened(packed(old(**{key: dict(value) for key, value in changes.items()})))


def test_an_archive_that_is_cut_anywhere_is_refused(opened: Callable[[bytes], Archive]) -> None:
    data = packed(old())
    end = data.rindex(b"repositories")
    for cut in range(100, end - 512, 1111):
        with pytest.raises(ArchiveInvalid):
            opened(data[:cut])


def new(folder: Path, **files: bytes | None) -> dict[str, Any]:
    """The files of an archive in the new form; keyword arguments by the beginning of their names replace or drop."""
    make.docker_save(make.small(folder, "one", "two"), folder / "archive.tar", "app:1")
    with tarfile.open(folder / "archive.tar") as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    return found


async def test_the_new_form_keeps_what_is_compressed_to_the_byte(
    opened: Callable[[bytes], Archive], tmp_path: Path
) -> None:
    files = new(tmp_path / "made")
    archive = opened(packed(files))
    manifest = await archive.manifest("app:1")

    assert manifest.raw == make.Layout(tmp_path / "made").manifest()
    assert [str(name) for name in archive.images[0].names] == ["docker.io/library/app:1"]


async def test_plain_layers_of_the_new_form_are_compressed_and_those_of_an_oci_archive_are_not(
    opened: Callable[[bytes], Archive], tmp_path: Path
) -> None:
    layout = make.Layout(tmp_path / "plain")
    layout.name(layout.image([layout.blob(layer, make.LAYER) for layer in LAYERS], map(make.sha256, LAYERS)))
    docker = opened(make.docker_save(layout.folder, tmp_path / "docker.tar", "app:1").read_bytes())
    oci = opened(make.oci_archive(layout.folder, tmp_path / "oci.tar").read_bytes())
    compressed, kept = await docker.manifest(""), await oci.manifest("")

    assert compressed.config == kept.config
    assert {layer.media_type for layer in compressed.layers} == {media_types.OCI_LAYER_GZIP}
    assert kept.raw == layout.manifest()


@pytest.mark.parametrize("kind", ["layers", "manifest", "config", "index names more", "index is broken", "traversal"])
def test_a_lying_layout_in_a_tar_is_found_out(opened: Callable[[bytes], Archive], tmp_path: Path, kind: str) -> None:
    files = new(tmp_path / "made")
    files.pop("manifest.json")
    layout = make.Layout(tmp_path / "made")
    manifest = json.loads(layout.manifest())
    path = {
        "layers": manifest["layers"][0]["digest"],
        "config": manifest["config"]["digest"],
        "manifest": layout.find()["digest"],
    }
    index = json.loads(files["index.json"])
    if kind in path:
        name = "blobs/" + path[kind].replace(":", "/")
        files[name] = files[name][:-1] + b"!"
        says = "damaged|broken"
    elif kind == "index names more":
        index["manifests"].append(index["manifests"][0] | {"digest": "sha256:" + "a" * 64})
        says = "does not have sha256:aaa"
    elif kind == "traversal":
        index["manifests"][0]["digest"] = "sha256:../../../etc/passwd"
        says = "not a digest"
    else:
        index["manifests"] = {}
        says = "no list of manifests"
    files["index.json"] = json.dumps(index).encode()
    with pytest.raises(ArchiveInvalid, match=says):
        opened(packed(files))


async def test_several_images_are_told_apart(opened: Callable[[bytes], Archive]) -> None:
    first, second = json.loads(old()["manifest.json"]), json.loads(old()["manifest.json"])
    second[0] |= {"RepoTags": ["app:2", "other"], "Layers": ["1a/layer.tar"], "Config": "two.json"}
    files = old(files={"manifest.json": json.dumps(first + second).encode(), "two.json": config(LAYERS[1:])})
    archive = opened(packed(files))
    found = [await archive.manifest(name) for name in ("app:1", "app:2", "docker.io/library/other:latest")]

    assert [len(manifest.layers) for manifest in found] == [2, 1, 1]
    assert found[1] == found[2]
    with pytest.raises(ManifestUnknown, match="several images"):
        await archive.manifest("")
    with pytest.raises(ManifestUnknown, match="no image called 'app:3'"):
        await archive.manifest("app:3")


@pytest.mark.slow
@pytest.mark.parametrize("made", make.KINDS)
@pytest.mark.parametrize("form", ["docker", "oci"])
async def test_ours_are_read_back_and_are_the_same_every_time(
    made: Callable[[Path], Path], form: Any, tmp_path: Path
) -> None:
    layout = made(tmp_path / "made")
    for name in ("one.tar", "two.tar"):
        async with NewArchive(tmp_path / name, form) as sink:
            await copy(Layout(layout), sink, "latest", to="localhost:5000/team/app:v1")
    with (tmp_path / "one.tar").open("rb") as file, Archive(file, scratch=tmp_path) as archive:
        await copy(archive, back := Layout(tmp_path / "back"), "localhost:5000/team/app:v1", to="latest")

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert make.Layout(back.root).reachable() == make.Layout(layout).reachable()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "made", "one.tar", "two.tar"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "image"), [("latest", None), ("team/app:1", "docker.io/team/app:1"), ("Any.thing_1", None)]
)
async def test_a_name_in_an_oci_archive_is_as_it_was_given(name: str, image: str | None, tmp_path: Path) -> None:
    layout = make.small(tmp_path / "made")
    async with NewArchive(tmp_path / "a.tar", "oci") as sink:
        await copy(Layout(layout), sink, "latest", to=name)
    raw = must("skopeo", "--insecure-policy", "inspect", "--raw", f"oci-archive:{tmp_path}/a.tar:{name}")
    with (tmp_path / "a.tar").open("rb") as file, Archive(file, scratch=tmp_path) as archive:
        found = archive.find(name)

    assert raw.encode() == make.Layout(layout).manifest()
    assert [str(known) for known in found.names] == ([image] if image else [])


async def test_an_archive_that_could_not_be_finished_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "archive.tar").write_text("before")
    with pytest.raises(ManifestUnknown):
        async with NewArchive(tmp_path / "archive.tar", "oci") as sink:
            await copy(Layout(make.small(tmp_path / "made")), sink, "no such name", to="x")

    assert (tmp_path / "archive.tar").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive.tar", "made"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["docker", "oci"])
async def test_skopeo_reads_ours_with_the_same_id(form: Any, tmp_path: Path) -> None:
    layout = make.busybox(tmp_path / "made")
    async with NewArchive(tmp_path / "a.tar", form) as sink:
        await copy(Layout(layout), sink, "latest", to="docker.io/library/app:v1")
    name = "docker.io/library/app:v1"
    source = f"{form}-archive:{tmp_path}/a.tar:{name}"
    raw = json.loads(must("skopeo", "--insecure-policy", "inspect", "--raw", source))
    must("skopeo", "--insecure-policy", "copy", source, f"oci:{tmp_path}/back:latest")  # every layer is as it says

    assert raw["config"]["digest"] == make.Layout(layout).image_id()
