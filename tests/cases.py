"""The cases of ``tests/corpus``: what each builds, how, and what has to come of it.

A case is a folder with a ``Dockerfile`` and a ``case.toml``:

- ``says``: what it shows, one sentence. ``peer``: who builds it too: ``docker`` (without BuildKit), ``buildkit``,
  ``buildah``, or ``none``. The first of these that takes the case; where an earlier one takes it as well but means
  something else, ``passes_over`` says why, by name.
- how it is built: ``build_args``, ``target``, ``platform``, ``flags`` (for everybody), ``where`` (``folder``, ``tar``
  for standard input, or a URL), ``file`` (another Dockerfile; ``-`` is the one here, on standard input), ``env``,
  ``first`` (the name of an image that is built before, from ``Dockerfile.first``), ``base`` (``base``, ``flat`` or
  ``scratch``: what a tree by hand starts from). ``{site}`` in arguments, flags and Dockerfiles is the address of the
  file server, ``{work}`` in arguments and flags a folder.
- ``[context]``: the files, and ``[outside]``: files beside the context, in ``{work}``.
- ``[tree]``, ``[config]``: what the base does not have, by hand, from docker's reference: all of it where there is no
  peer, else what differs from the peer.
- ``[differs]``: each path (``/…``) and field that differs from the peer, and why.

Files in ``[context]``, ``[outside]`` and ``[tree]``: a text, or a table with ``text``, ``to`` (a link), ``same``
(another name of a file), ``mode``, ``owner``, ``time``, ``size`` (so many bytes, half of them zero), ``archive``
(``tar``, ``gz``, ``bz2``, ``xz``) with ``files``, ``gone``. A name that ends with ``/`` is a folder.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import stat
import tarfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trees import Entry, Inode, content

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CORPUS = Path(__file__).with_name("corpus")
TIME = 1714979289
"""2024-05-06T07:08:09Z: when everything in a context was changed, unless a case says otherwise."""

Files = dict[str, Any]
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes, "gz": lambda data: gzip.compress(data, mtime=0), "bz2": bz2.compress, "xz": lzma.compress,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One folder of the corpus."""

    folder: Path
    says: str
    peer: str
    passes_over: Mapping[str, str] = field(default_factory=dict)
    build_args: Mapping[str, str | bool] = field(default_factory=dict)  # true: takes the environment's
    target: str = ""
    platform: str = ""
    flags: tuple[str, ...] = ()
    where: str = "folder"
    file: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    first: str = ""
    base: str = "base"
    context: Files = field(default_factory=dict)
    outside: Files = field(default_factory=dict)
    tree: Files = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    differs: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder.name

    def entries(self) -> dict[str, Entry | None]:
        """``[tree]`` as entries; ``None`` is what is gone."""
        return {path.rstrip("/"): _entry(path, value) for path, value in self.tree.items()}

    def prepare(self, work: Path, site: str) -> Path:
        """Make the context in a folder, and what is outside of it beside; return the context."""
        context = work / "context"
        context.mkdir()
        write(work, self.outside)
        for name in os.listdir(self.folder):
            if name != "case.toml":
                data = (self.folder / name).read_bytes().replace(b"{site}", site.encode())
                (context / name).write_bytes(data)
                (context / name).chmod(0o644)
                os.utime(context / name, (TIME, TIME))
        write(context, self.context)
        return context


def read_case(folder: Path) -> Case:
    """Read a case; words that nobody knows are an error."""
    fields = tomllib.loads((folder / "case.toml").read_text())
    if "flags" in fields:
        fields["flags"] = tuple(fields["flags"])
    return Case(folder, **fields)


def all_cases() -> list[Case]:
    """Every case, by name."""
    return [read_case(path.parent) for path in sorted(CORPUS.glob("*/case.toml"))]


def write(root: Path, files: Files) -> None:
    """Make files as a case describes them, folders last so that their times stay."""
    root.mkdir(parents=True, exist_ok=True)
    folders = {root: _table("/", {})}
    for name, value in files.items():
        path, spec = root / name, _table(name, value)
        for parent in reversed(path.relative_to(root).parents):
            (root / parent).mkdir(exist_ok=True)
            folders.setdefault(root / parent, _table("/", {}))
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
            folders[path] = spec
        elif "to" in spec:
            path.symlink_to(spec["to"])
            os.utime(path, (spec["time"], spec["time"]), follow_symlinks=False)
        elif "same" in spec:
            os.link(root / spec["same"], path)
        else:
            path.write_bytes(data(spec))
            _settle(path, spec)
    for path, spec in reversed(folders.items()):
        _settle(path, spec)


def _settle(path: Path, spec: Mapping[str, Any]) -> None:
    if "owner" in spec and os.geteuid() == 0:
        os.chown(path, *_owner(spec))
    path.chmod(int(spec["mode"], 8))
    os.utime(path, (spec["time"], spec["time"]))


def data(spec: Mapping[str, Any]) -> bytes:
    """A file's bytes."""
    if "archive" in spec:
        return archive(spec["files"], spec["archive"])
    if "size" in spec:
        half = int(spec["size"]) // 2
        return random.Random(7).randbytes(half) + bytes(int(spec["size"]) - half)
    return str(spec["text"]).encode()


def archive(files: Files, compression: str) -> bytes:
    """An archive of files, as GNU tar would write it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as writer:
        for name, value in files.items():
            spec = _table(name, value)
            member = tarfile.TarInfo(name)
            member.mode, member.mtime = int(spec["mode"], 8), spec["time"]
            member.uid, member.gid = _owner(spec)
            body = b""
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            elif "to" in spec:
                member.type, member.linkname = tarfile.SYMTYPE, spec["to"]
            elif "same" in spec:
                member.type, member.linkname = tarfile.LNKTYPE, spec["same"]
            else:
                body = data(spec)
                member.size = len(body)
            writer.addfile(member, io.BytesIO(body))
    return COMPRESSIONS[compression](buffer.getvalue())


def _table(name: str, value: Any) -> dict[str, Any]:
    spec = {"text": value} if isinstance(value, str) else dict(value)
    kind = "755" if name.endswith("/") else "777" if "to" in spec else "644"
    return {"mode": kind, "time": TIME, **spec}


def _owner(spec: Mapping[str, Any]) -> tuple[int, int]:
    user, group = str(spec.get("owner", "0:0")).split(":")
    return int(user), int(group)


def _entry(name: str, value: Any) -> Entry | None:
    spec = _table(name, value)
    time = value.get("time") if isinstance(value, dict) else None
    if "gone" in spec:
        return None
    if "same" in spec:
        return Entry(f"the same file as {spec['same']}", time)
    if "device" in spec:
        kind, text = spec["device"].split()
        return Entry(Inode(kind, int(spec["mode"], 8), _owner(spec), text).line(), time)
    kind = "folder" if name.endswith("/") else "link" if "to" in spec else "file"
    text = {"folder": lambda: "", "link": lambda: spec["to"], "file": lambda: content(data(spec))}[kind]()
    mode = stat.S_IMODE(int(spec["mode"], 8))
    return Entry(Inode(kind, mode, _owner(spec), text).line(), time)
