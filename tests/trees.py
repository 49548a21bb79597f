"""What an image holds, read with tarfile, json and hashlib alone: the files of all layers merged, and the config.

A file tree is a ``dict`` of paths (no slash at either end; the root is ``""``) to :class:`Entry`. Two trees can be
compared line by line, and a line can be written by hand.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import stat
import subprocess
import tarfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

FIELDS = (
    "Env", "Cmd", "Entrypoint", "WorkingDir", "User", "ExposedPorts", "Volumes", "Labels", "Healthcheck", "Shell",
    "StopSignal", "OnBuild",
)  # fmt: skip
"""What is compared of an image config's ``config``."""
OUTER = ("os", "architecture", "variant", "author", "os.version")
"""What is compared of the config itself."""
KINDS = {
    tarfile.LNKTYPE: "file", tarfile.SYMTYPE: "link", tarfile.DIRTYPE: "folder", tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block",
}  # fmt: skip


@dataclass(frozen=True)
class Inode:
    """A file apart from its name. Two names of one file have the same object."""

    kind: str
    mode: int
    owner: tuple[int, int]
    content: str = ""  # of a file: its text where it is short, else its digest; of a link where it points to
    xattrs: tuple[tuple[str, bytes], ...] = ()
    time: int = 0

    def line(self) -> str:
        """Everything but the time, as one line."""
        words = [self.kind, "" if self.kind == "link" else f"{self.mode:o}", f"{self.owner[0]}:{self.owner[1]}"]
        words += [self.content, *(f"{name}={value.hex()}" for name, value in self.xattrs)]
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Entry:
    """A path of a tree: what it is in one line, and when it was changed."""

    line: str
    time: int | None


Tree = dict[str, Entry]


def content(data: bytes) -> str:
    """A file's content for a line: itself where a person can read it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if len(text) <= 300 and "\0" not in text:
        return repr(text)
    return f"sha256:{hashlib.sha256(data).hexdigest()} of {len(data)}"


def merge(layers: Iterable[bytes]) -> Tree:
    """The tree that layers, lowest first and uncompressed, make together."""
    found: dict[str, Inode] = {}
    for layer in layers:
        _apply(found, layer)
    names: dict[int, str] = {}
    tree: Tree = {}
    for path, inode in sorted(found.items()):
        first = names.setdefault(id(inode), path)
        line = inode.line() if first == path else f"the same file as {first}"
        tree[path] = Entry(line, inode.time)
    return tree


def _apply(found: dict[str, Inode], layer: bytes) -> None:
    """Lay one layer over what is there. Whiteouts hide what is below, never what the layer itself brings."""
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as archive:
        members = [(_path(member.name), member) for member in archive]
        for path, _ in members:
            folder, _, name = path.rpartition("/")
            if name == ".wh..wh..opq":
                _remove(found, folder, itself=False)
            elif name.startswith(".wh."):
                _remove(found, f"{folder}/{name[4:]}".lstrip("/"))
        for path, member in members:
            if path.rpartition("/")[2].startswith(".wh."):
                continue
            inode = found[_path(member.linkname)] if member.islnk() else _inode(archive, member)
            if path in found and not (found[path].kind == inode.kind == "folder"):
                _remove(found, path)
            folder = path.rpartition("/")[0]
            # An unpacker would follow the link, or put a folder in its place: no layer should leave that open.
            assert folder not in found or found[folder].kind == "folder", f"{path} lies in what is no folder"
            found[path] = inode


def _path(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    assert ".." not in parts, name
    return "/".join(parts)


def _remove(found: dict[str, Inode], path: str, *, itself: bool = True) -> None:
    inside = f"{path}/" if path else ""
    for name in [name for name in found if (name == path and itself) or (name != path and name.startswith(inside))]:
        del found[name]


def _inode(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Inode:
    kind = KINDS.get(member.type, "file")
    text = member.linkname if kind == "link" else ""
    if kind in ("char", "block"):
        text = f"{member.devmajor},{member.devminor}"
    if kind == "file":
        file = archive.extractfile(member)
        assert file
        text = content(file.read())
    xattrs = sorted(
        (name.removeprefix("SCHILY.xattr."), value.encode("utf-8", "surrogateescape"))
        for name, value in member.pax_headers.items()
        if name.startswith("SCHILY.xattr.")
    )
    return Inode(kind, stat.S_IMODE(member.mode), (member.uid, member.gid), text, tuple(xattrs), int(member.mtime))


@dataclass(frozen=True)
class Image:
    """An image as it is compared: its tree, and the fields of its config that say something."""

    tree: Tree
    config: dict[str, Any]
    raw: dict[str, Any] = field(default_factory=dict)  # the whole config


def read_image(open_blob: Callable[[str], bytes], config: str, layers: Sequence[str]) -> Image:
    """An image from its blobs; layers may be compressed."""
    raw = json.loads(open_blob(config))
    archives = [plain(open_blob(layer)) for layer in layers]
    assert ["sha256:" + hashlib.sha256(archive).hexdigest() for archive in archives] == raw["rootfs"]["diff_ids"]
    return Image(merge(archives), config_fields(raw), raw)


def config_fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared of a config; what is empty is as good as not there."""
    inner = raw.get("config") or {}
    fields = {name: inner.get(name) for name in FIELDS} | {name: raw.get(name) for name in OUTER}
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def plain(blob: bytes) -> bytes:
    """A layer's tar."""
    if blob.startswith(b"\x1f\x8b"):
        return gzip.decompress(blob)
    if blob.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dc"], input=blob, capture_output=True, check=True).stdout
    return blob


def docker_archive(path: Path) -> Image:
    """The only image of what ``docker save`` wrote."""
    with tarfile.open(path) as archive:
        files = {member.name: member for member in archive}

        def read(name: str) -> bytes:
            member = files[name]
            # docker saves a layer that it has twice as a link.
            file = archive.extractfile(files[_beside(name, member.linkname)] if member.issym() else member)
            assert file
            return file.read()

        (entry,) = json.loads(read("manifest.json"))
        return read_image(read, entry["Config"], entry["Layers"])


def _beside(name: str, target: str) -> str:
    parts = name.split("/")[:-1]
    for part in target.split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def oci_layout(folder: Path, digest: str = "") -> Image:
    """The only image of an OCI layout, or the one whose manifest has the digest."""

    def read(digest: str) -> bytes:
        return (folder / "blobs" / digest.replace(":", "/")).read_bytes()

    if not digest:
        (entry,) = json.loads((folder / "index.json").read_text())["manifests"]
        digest = entry["digest"]
    manifest = json.loads(read(digest))
    return read_image(read, manifest["config"]["digest"], [layer["digest"] for layer in manifest["layers"]])


OLD = 1735689600
"""Times before 2025 come from what was given; peers stamp the moment on the rest, and we do not."""


def differences(ours: Image, theirs: Image) -> Iterator[tuple[str, str, str]]:
    """Where two images differ: a path (``/…``) or a field, ours, theirs."""
    for path in sorted({*ours.tree, *theirs.tree}):
        mine, other = ours.tree.get(path), theirs.tree.get(path)
        if path == "" and (mine is None or other is None):
            continue  # whether a layer mentions the root is nobody's business
        if mine is None or other is None or mine.line != other.line:
            yield f"/{path}", mine.line if mine else "nothing", other.line if other else "nothing"
        elif path and other.time is not None and other.time < OLD and mine.time != other.time:
            yield f"/{path}", f"{mine.line} time {mine.time}", f"{other.line} time {other.time}"
    for name in sorted({*ours.config, *theirs.config}):
        if ours.config.get(name) != theirs.config.get(name):
            yield name, repr(ours.config.get(name)), repr(theirs.config.get(name))


def change(tree: Tree, changes: Mapping[str, Entry | None]) -> Tree:
    """A tree with some entries replaced, or gone with all that is in them."""
    gone = [path for path, entry in changes.items() if entry is None]
    kept = {
        path: entry
        for path, entry in tree.items()
        if not any(path == name or path.startswith(f"{name}/") for name in gone)
    }
    return kept | {path: entry for path, entry in changes.items() if entry is not None}


def with_changes(image: Image, tree: Mapping[str, Entry | None], config: Mapping[str, Any]) -> Image:
    """An image with what a case says by hand."""
    fields = {name: value for name, value in (image.config | config).items() if value not in (None, "", [], {})}
    return replace(image, tree=change(image.tree, tree), config=fields)
