"""Layers written by hand, header by header, and trees of files as lines that can be written by hand too."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path

from servers import run

END = bytes(1024)
TIME = 1_000_000_000
"""The time of every member that no other is given, in seconds: 2001-09-09."""


def header(
    name: str | bytes, kind: bytes = b"0", *, size: int | bytes = 0, link: str | bytes = b"", mode: int | bytes = 0o644,
    uid: int | bytes = 0, gid: int | bytes = 0, mtime: int | bytes = TIME, device: tuple[int, int] = (0, 0),
    magic: bytes = b"ustar\x0000", prefix: bytes = b"", raw: dict[int, bytes] | None = None,
) -> bytes:  # fmt: skip
    """One header block; a number may be given as the bytes of its field, and ``raw`` is written over the rest."""
    block = bytearray(512)
    for at, width, value in (
        (100, 8, mode), (108, 8, uid), (116, 8, gid), (124, 12, size), (136, 12, mtime), (329, 8, device[0]),
        (337, 8, device[1]),
    ):  # fmt: skip
        block[at : at + width] = value.ljust(width, b"\0") if isinstance(value, bytes) else number(value, width)
    for at, text in ((0, name), (157, link), (345, prefix)):
        written = text if isinstance(text, bytes) else os.fsencode(text)
        block[at : at + len(written)] = written
    block[156:157], block[257:265] = kind, magic
    for at, written in (raw or {}).items():
        block[at : at + len(written)] = written
    assert len(block) == 512
    return summed(block)


def number(value: int, width: int) -> bytes:
    """A field in octal, or in base 256 where octal has no room for it."""
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return bytes([0x80 if value >= 0 else 0xFF]) + value.to_bytes(width - 1, "big", signed=value < 0)


def summed(block: bytes | bytearray) -> bytes:
    """The block with the right sum in it."""
    block = bytearray(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def pax(records: dict[str, str | bytes] | list[tuple[str, str | bytes]], kind: bytes = b"x") -> bytes:
    """An extended header."""
    body = b""
    for key, value in records.items() if isinstance(records, dict) else records:
        text = b" %s=%s\n" % (os.fsencode(key), os.fsencode(value))
        length = len(text)
        while length != len(text) + len(str(length)):
            length = len(text) + len(str(length))
        body += b"%d" % length + text
    return header("pax", kind, size=len(body)) + padded(body)


def file(name: str, content: str | bytes = b"", *, xattrs: dict[str, bytes] | None = None, **more: object) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    extended = pax({f"SCHILY.xattr.{key}": value for key, value in xattrs.items()}) if xattrs else b""
    return extended + named(name, b"0", size=len(content), **more) + padded(content)


def folder(name: str, mode: int = 0o755, *, xattrs: dict[str, bytes] | None = None, **more: object) -> bytes:
    extended = pax({f"SCHILY.xattr.{key}": value for key, value in xattrs.items()}) if xattrs else b""
    return extended + named(name, b"5", mode=mode, **more)


def symlink(name: str, target: str, **more: object) -> bytes:
    return named(name, b"2", link=target, mode=0o777, **more)


def hardlink(name: str, target: str, **more: object) -> bytes:
    return named(name, b"1", link=target, **more)


def named(name: str, kind: bytes, *, link: str = "", **more: object) -> bytes:
    """A header whose names may be of any length."""
    long: dict[str, str | bytes] = {}
    if len(os.fsencode(name)) > 100:
        long["path"], name = name, "long"
    if len(os.fsencode(link)) > 100:
        long["linkpath"], link = link, "long"
    return (pax(long) if long else b"") + header(name, kind, link=link, **more)  # type: ignore[arg-type]


def whiteout(name: str) -> bytes:
    """The whiteout of a path."""
    above, slash, base = name.rpartition("/")
    return file(f"{above}{slash}.wh.{base}")


def opaque(name: str) -> bytes:
    """The whiteout of all that lower layers have in a folder."""
    return file(f"{name}/.wh..wh..opq")


def layer(*parts: bytes) -> bytes:
    """A whole archive."""
    return b"".join(parts) + END


def tree(top: Path) -> list[str]:
    """What is below a folder, a line each, sorted: kind, mode, owner, path, content or target; marks of overlayfs."""
    lines = []
    for inside, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(inside, name)
            lines.append((str(path.relative_to(top)), _line(path, str(path.relative_to(top)))))
    return [line for _, line in sorted(lines)]


def names(top: Path) -> list[str]:
    """Like :func:`tree`, with paths, targets and contents alone; a folder ends with a slash."""
    found = []
    for line in tree(top):
        kind, _, rest = line.partition(" ")
        rest = rest if kind == "whiteout" else rest.split(" ", 2)[2]
        path, space, more = rest.partition(" ")
        found.append(f"{'-' if kind == 'whiteout' else ''}{path}{'/' if kind == 'folder' else ''}{space}{more}")
    return found


def _line(path: Path, name: str) -> str:
    found = path.lstat()
    owner, mode = f"{found.st_uid}:{found.st_gid}", f"{stat.S_IMODE(found.st_mode):o}"
    match stat.S_IFMT(found.st_mode):
        case stat.S_IFDIR:
            marks = set(os.listxattr(path)) & {"trusted.overlay.opaque", "user.overlay.opaque"}
            return f"folder {mode} {owner} {name}{' opaque' if marks else ''}"
        case stat.S_IFLNK:
            return f"link {mode} {owner} {name} -> {path.readlink()}"
        case stat.S_IFREG:
            content = path.read_bytes()
            shown = content.decode() if len(content) < 100 else hashlib.sha256(content).hexdigest()[:16]
            return f"file {mode} {owner} {name}{f' {shown}' if shown else ''}"
        case stat.S_IFIFO:
            return f"pipe {mode} {owner} {name}"
    device = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    if device == "0:0":
        return f"whiteout {name}"
    return f"{'char' if stat.S_ISCHR(found.st_mode) else 'block'} {mode} {owner} {name} {device}"


def umoci_tree(layers: list[bytes], work: Path) -> list[str] | None:
    """The names that ``umoci raw unpack`` makes of the layers; ``None`` where it refuses them."""
    layout, top = work / "layout", work / "umoci"
    for path in (layout, top):
        shutil.rmtree(path, ignore_errors=True)
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {
            "mediaType": f"application/vnd.oci.image.{media_type}",
            "digest": f"sha256:{digest}",
            "size": len(content),
        }

    kept = [put(content, "layer.v1.tar") for content in layers]
    rootfs = {"type": "layers", "diff_ids": [blob["digest"] for blob in kept]}
    config = put(
        json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode(), "config.v1+json"
    )
    manifest = put(json.dumps({"schemaVersion": 2, "config": config, "layers": kept}).encode(), "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    done = run("umoci", "raw", "unpack", "--image", f"{layout}:image", top)
    return names(top) if done.returncode == 0 else None
