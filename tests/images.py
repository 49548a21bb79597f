"""Makers of real images, with real tools and without a network.

Each takes a folder that is not there yet and returns it as an OCI image layout whose image is called ``latest``
(several where the docstring says so). Nothing of dockyard is used: what it makes of these is what tests ask.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers import must

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Descriptor = dict[str, Any]

OCI = "application/vnd.oci.image"
MANIFEST, INDEX, CONFIG = f"{OCI}.manifest.v1+json", f"{OCI}.index.v1+json", f"{OCI}.config.v1+json"
LAYER, GZIP, ZSTD = f"{OCI}.layer.v1.tar", f"{OCI}.layer.v1.tar+gzip", f"{OCI}.layer.v1.tar+zstd"
FOREIGN = f"{OCI}.layer.nondistributable.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX)
EMPTY_JSON = "application/vnd.oci.empty.v1+json"
AMD64 = {"os": "linux", "architecture": "amd64"}


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI image layout, written and read with json and hashlib alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "oci-layout").exists():
            (folder / "blobs/sha256").mkdir(parents=True)
            (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
            self._write_index([])

    def path(self, digest: str) -> Path:
        return self.folder / "blobs" / digest.replace(":", "/")

    def read(self, digest: str) -> bytes:
        """A blob's bytes, checked."""
        data = self.path(digest).read_bytes()
        assert sha256(data) == digest
        return data

    def blob(self, data: bytes | Path, media_type: str, **more: Any) -> Descriptor:
        """Keep bytes, or move a file in; ``more`` goes into the descriptor."""
        if isinstance(data, Path):
            with data.open("rb") as file:
                digest, size = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest(), data.stat().st_size
            data.rename(self.path(digest))
        else:
            digest, size = sha256(data), len(data)
            self.path(digest).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": size, **more}

    def json(self, value: Any, media_type: str, **more: Any) -> Descriptor:
        return self.blob(json.dumps(value).encode(), media_type, **more)

    def image(
        self,
        layers: Sequence[Descriptor],
        diff_ids: Sequence[str],
        *,
        platform: dict[str, str] = AMD64,
        config: dict[str, Any] | None = None,
        **more: Any,
    ) -> Descriptor:
        """An image of layers that are here already; ``more`` goes into its manifest."""
        made = {"rootfs": {"type": "layers", "diff_ids": [*diff_ids]}, "config": config or {}, **platform}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.json(made, CONFIG),
            "layers": [*layers],
            **more,
        }
        return self.json(manifest, MANIFEST) | {"platform": platform}

    def index(self, children: Sequence[Descriptor]) -> Descriptor:
        return self.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [*children]}, INDEX)

    def name(self, target: Descriptor, name: str = "latest") -> Descriptor:
        """Call a manifest by a name."""
        named = {**target, "annotations": {"org.opencontainers.image.ref.name": name}}
        self._write_index([entry for entry in self._entries() if _name(entry) != name] + [named])
        return target

    def find(self, name: str = "latest") -> Descriptor:
        """The descriptor of a name."""
        return next(entry for entry in self._entries() if _name(entry) == name)

    def manifest(self, name: str = "latest") -> bytes:
        """The bytes of a named manifest."""
        return self.read(self.find(name)["digest"])

    def image_id(self, name: str = "latest") -> str:
        """The digest of the config."""
        return str(json.loads(self.manifest(name))["config"]["digest"])

    def reachable(self, name: str = "latest") -> dict[str, str]:
        """Every digest under a name, itself first, with its media type; what is absent here is left out."""
        found: dict[str, str] = {}
        todo = [self.find(name)]
        while todo:
            entry = todo.pop(0)
            if not self.path(entry["digest"]).exists():
                continue
            found[entry["digest"]] = entry["mediaType"]
            if entry["mediaType"] in MANIFESTS:
                fields = json.loads(self.read(entry["digest"]))
                todo += [*fields.get("manifests", []), *fields.get("layers", [])]
                todo += [fields["config"]] if "config" in fields else []
        return found

    def _entries(self) -> list[Descriptor]:
        return list(json.loads((self.folder / "index.json").read_text())["manifests"])

    def _write_index(self, entries: list[Descriptor]) -> None:
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))


def _name(entry: Descriptor) -> str | None:
    return entry.get("annotations", {}).get("org.opencontainers.image.ref.name")


def tar(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar archive of files with fixed times and owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def small(folder: Path, *words: str) -> Path:
    """An image with one tiny gzip layer for each word (one where there is none): the quickest there is."""
    layout = Layout(folder)
    archives = [tar([(f"{word}.txt", word.encode())]) for word in words or ("hello",)]
    layers = [layout.blob(gzipped(archive), GZIP) for archive in archives]
    layout.name(layout.image(layers, [sha256(archive) for archive in archives]))
    return folder


def busybox(folder: Path) -> Path:
    """busybox and its links in one layer, made by umoci."""
    rootfs = folder.with_name(folder.name + ".rootfs")
    (rootfs / "bin").mkdir(parents=True)
    (rootfs / "etc").mkdir()
    (rootfs / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    found = shutil.which("busybox")
    assert found, "busybox is not on PATH"
    shutil.copy(found, rootfs / "bin/busybox")
    for name in ("sh", "ls", "cat", "echo"):
        (rootfs / "bin" / name).symlink_to("busybox")
    _new(folder)
    must("umoci", "insert", "--rootless", "--image", f"{folder}:latest", rootfs, "/")
    must("umoci", "config", "--image", f"{folder}:latest", "--config.cmd", "/bin/sh", "--config.env", "PATH=/bin")
    shutil.rmtree(rootfs)
    return folder


def many_files(folder: Path, count: int = 20_000) -> Path:
    """``count`` small files in one layer, made by umoci."""
    tree = folder.with_name(folder.name + ".tree")
    for number in range(count):
        if number % 200 == 0:
            (tree / f"{number // 200}").mkdir(parents=True)
        (tree / f"{number // 200}" / f"{number}.txt").write_text(f"file {number}\n" * 4)
    _new(folder)
    must("umoci", "insert", "--rootless", "--image", f"{folder}:latest", tree, "/files")
    shutil.rmtree(tree)
    return folder


def many_layers(folder: Path, count: int = 127) -> Path:
    """``count`` layers, as many as a docker image may have."""
    return small(folder, *(f"layer-{number}" for number in range(count)))


def big_layer(folder: Path, size: int = 1 << 30) -> Path:
    """One layer of about ``size`` bytes that can't be compressed, as a plain tar."""
    layout = Layout(folder)
    archive = folder / "layer.tar"
    with tarfile.open(archive, "w") as writer:
        member = tarfile.TarInfo("random")
        member.size = size
        with open("/dev/urandom", "rb") as source:
            writer.addfile(member, source)
    layer = layout.blob(archive, LAYER)
    layout.name(layout.image([layer], [layer["digest"]]))
    return folder


def empty_layer(folder: Path) -> Path:
    """A layer of no files between two with some, as a tar of two zero blocks, and the same again."""
    layout = Layout(folder)
    archives = [tar([("a.txt", b"a")]), bytes(1024), tar([("b.txt", b"b")]), bytes(1024)]
    layers = [layout.blob(gzipped(archive), GZIP) for archive in archives]
    layout.name(layout.image(layers, [sha256(archive) for archive in archives]))
    return folder


def no_layers(folder: Path) -> Path:
    """An image that has a config and no layer at all."""
    layout = Layout(folder)
    layout.name(layout.image([], []))
    return folder


def zstd_layers(folder: Path) -> Path:
    """Two layers compressed by the zstd program."""
    layout = Layout(folder)
    layers, diff_ids = [], []
    for word in ("one", "two"):
        archive = tar([(f"{word}.txt", word.encode() * 10_000)])
        (folder / "layer.tar").write_bytes(archive)
        must("zstd", "--quiet", "--rm", folder / "layer.tar")
        layers.append(layout.blob(folder / "layer.tar.zst", ZSTD))
        diff_ids.append(sha256(archive))
    layout.name(layout.image(layers, diff_ids))
    return folder


def windows(folder: Path, mirror: str = "https://mcr.example.invalid") -> Path:
    """A Windows image: ``os.version``, a base layer that is only at its URL, ``MIRROR/base``, and one of its own."""
    layout = Layout(folder)
    base = windows_base()
    foreign = layout.blob(base, FOREIGN, urls=[f"{mirror}/base"])
    layout.path(foreign["digest"]).unlink()
    own = tar([("Files/app/app.exe", b"MZ app"), ("Hives/Sam_Delta", b"regf")])
    platform = {"os": "windows", "architecture": "amd64", "os.version": "10.0.17763.1397"}
    image = layout.image(
        [foreign, layout.blob(gzipped(own), GZIP)],
        [sha256(gzip.decompress(base)), sha256(own)],
        platform=platform,
        config={"Entrypoint": ["C:\\app\\app.exe"], "WorkingDir": "C:\\app"},
    )
    layout.name(image)
    return folder


def windows_base() -> bytes:
    """The layer that Microsoft used to keep to itself."""
    return gzipped(tar([("Files/Windows/System32/ntdll.dll", b"MZ")]))


PLATFORMS = (
    AMD64,
    {"os": "linux", "architecture": "arm64", "variant": "v8"},
    {"os": "linux", "architecture": "arm", "variant": "v7"},
    {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.887"},
)


def multi_platform(folder: Path) -> Path:
    """An index of four platforms that share one layer."""
    layout = Layout(folder)
    shared = tar([("shared.txt", b"the same everywhere")])
    shared_layer = layout.blob(gzipped(shared), GZIP)
    children = []
    for platform in PLATFORMS:
        own = tar([("platform.txt", json.dumps(platform).encode())])
        layers = [shared_layer, layout.blob(gzipped(own), GZIP)]
        children.append(layout.image(layers, [sha256(shared), sha256(own)], platform=platform))
    layout.name(layout.index(children))
    return folder


def artifact(folder: Path) -> Path:
    """An image called ``latest``, and ``sbom``: an artifact whose subject it is."""
    small(folder)
    layout = Layout(folder)
    subject = {key: layout.find()[key] for key in ("mediaType", "digest", "size")}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/spdx+json",
        "config": layout.blob(b"{}", EMPTY_JSON),
        "layers": [layout.blob(b'{"spdxVersion": "SPDX-2.3"}', "application/spdx+json")],
        "subject": subject,
        "annotations": {"org.opencontainers.image.created": "2026-01-01T00:00:00Z"},
    }
    layout.name(layout.json(manifest, MANIFEST), "sbom")
    return folder


KINDS: tuple[Callable[[Path], Path], ...] = (
    small, busybox, many_layers, empty_layer, no_layers, zstd_layers, multi_platform, artifact,
)  # fmt: skip
"""The makers that take at most a second and whose images are whole; :func:`windows` makes one that is not."""


def docker_archive(layout: Path, target: Path, name: str) -> Path:
    """The image ``latest`` as skopeo writes a docker-archive: ``docker load`` takes it."""
    must("skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{layout}:latest", f"docker-archive:{target}:{name}")
    return target


def docker_save(layout: Path, target: Path, name: str) -> Path:
    """The image ``latest`` as ``docker save`` writes it since version 25: an OCI layout with a manifest.json."""
    source = Layout(layout)
    fields = json.loads(source.manifest())
    legacy = {
        "Config": "blobs/" + fields["config"]["digest"].replace(":", "/"),
        "RepoTags": [name],
        "Layers": ["blobs/" + layer["digest"].replace(":", "/") for layer in fields["layers"]],
    }
    entry = {key: source.find()[key] for key in ("mediaType", "digest", "size")}
    entry["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    with tarfile.open(target, "w") as archive:
        for path in sorted((layout / "blobs/sha256").iterdir()):
            archive.add(path, f"blobs/sha256/{path.name}")
        for file, value in (
            ("index.json", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}),
            ("manifest.json", [legacy]),
            ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
        ):
            data = json.dumps(value).encode()
            member = tarfile.TarInfo(file)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return target


def oci_archive(layout: Path, target: Path) -> Path:
    """The whole layout as one tar."""
    with tarfile.open(target, "w") as archive:
        for name in sorted(os.listdir(layout)):
            archive.add(layout / name, name)
    return target


def _new(folder: Path) -> None:
    must("umoci", "init", "--layout", folder)
    must("umoci", "new", "--image", f"{folder}:latest")
    # umoci stamps the moment; images made twice should be the same.
    must("umoci", "config", "--image", f"{folder}:latest", "--created", "2026-01-01T00:00:00Z", "--no-history")
