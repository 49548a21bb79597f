"""Layers become files: each is unpacked by a process of its own that is shut into the folder it fills.

``apply_layer`` starts that process (``content/unpacking``), hands it two open files, the blob and the folder, and
believes nothing of what it prints beyond its form. Nothing here reads a tar header or follows a path of a layer.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dockyard
from dockyard.content.folders import storage_errors
from dockyard.content.lower_layers import settle
from dockyard.errors import ArchiveInvalid, Denied, Full, Unavailable
from dockyard.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

__all__ = ["Applied", "Limits", "apply_layer", "overlay_prefix", "settle_layer"]

_START = (
    "import sys, json; order = json.loads(sys.argv[1]); sys.path[:] = order['path']; "
    "from dockyard.content.unpacking import main; main(order)"
)
_ANSWER = 64 * 1024 * 1024
_ERRORS: dict[str, type[ArchiveInvalid | Denied | Full | Unavailable]] = {
    kind.__name__: kind for kind in (ArchiveInvalid, Denied, Full)
}
_WHOLE = ["0", "0", "4294967295"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one layer may need: plain bytes, files and folders, and growth above ``ratio_from`` bytes."""

    bytes: int = 2**40
    entries: int = 2_000_000
    ratio: int = 250
    ratio_from: int = 2**30


@dataclass(frozen=True, slots=True)
class Applied:
    """A layer that was unpacked: the digest and number of its plain bytes, and what could not be kept of it.

    ``implied`` are folders that it does not describe, ``marked`` those with whiteouts in them: for ``settle_layer``.
    """

    diff_id: Digest
    entries: int
    size: int
    notices: tuple[str, ...] = ()
    implied: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()


def overlay_prefix() -> str:
    """What overlayfs's attributes begin with for this process: ``trusted.`` needs the system's own root."""
    return "trusted.overlay." if Path("/proc/self/uid_map").read_text().split() == _WHOLE else "user.overlay."


def apply_layer(
    blob: Path,
    target: Path,
    *,
    whiteouts: Literal["overlay", "remove"],
    limits: Limits = Limits(),
    lowers: Sequence[Path] | None = None,
    sync: bool = True,
) -> Applied:
    """Unpack a layer (tar, plain or with gzip or zstd) into the folder ``target``.

    With ``overlay`` the folder is this layer's alone, and what it removes becomes marks that overlayfs reads. Give
    the unpacked layers below it, lowest first, as ``lowers``, or call ``settle_layer`` once they are there. With
    ``remove`` the folder has the layers below in it. Folders that nothing describes are root's, 0755.

    The digest is that of all plain bytes, whatever follows the archive's end included; the caller compares it. With
    ``sync`` all is durable when it returns. After an error the folder has some of the layer in it: remove it with
    ``content.tree_removal.remove_tree``. Blocks; several may run at once for different folders.

    ArchiveInvalid where the layer can't be what it says, climbs out, or is over a limit; Denied where this user may
    not; Full; Unavailable.
    """
    with storage_errors(target), open(blob, "rb", buffering=0) as content:
        folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            opaque = overlay_prefix() + "opaque" if whiteouts == "overlay" else ""
            order = {"blob": content.fileno(), "target": folder, "opaque": opaque, "path": _path(), **asdict(limits)}
            applied = _read(_run(order))
            if lowers is not None:
                settle(folder, applied.implied, applied.marked, lowers)
            if sync:
                _sync(folder)
        finally:
            os.close(folder)
    return applied


def settle_layer(target: Path, applied: Applied, lowers: Sequence[Path], *, sync: bool = True) -> None:
    """Make a layer that was unpacked for overlayfs fit the unpacked layers below it, lowest first.

    Its folders that it does not describe become as below; marks of removed files go where nothing below could have
    them. Full, Unavailable.
    """
    with storage_errors(target):
        folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if settle(folder, applied.implied, applied.marked, lowers) and sync:
                _sync(folder)
        finally:
            os.close(folder)


def _path() -> list[str]:
    """Where this process has its modules from: the other one, which looks at no settings, gets them from there."""
    places = [place for place in sys.path if os.path.isabs(place)]
    return [*places, str(Path(dockyard.__path__[0]).parent)]


def _run(order: dict[str, Any]) -> bytes:
    """Start the process that carries out the order; return what it prints."""
    # Two arenas: with more, the C library would look up the number of processors in files of the layer.
    environment = {"MALLOC_ARENA_MAX": "2"}
    if library_path := os.environ.get("LD_LIBRARY_PATH"):
        environment["LD_LIBRARY_PATH"] = library_path
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _START, json.dumps(order)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        cwd="/", pass_fds=(order["blob"], order["target"]),
    ) as process:  # fmt: skip
        try:
            raw = process.stdout.read(_ANSWER) if process.stdout else b""
        except BaseException:
            process.kill()
            raise
        if len(raw) == _ANSWER:
            process.kill()
    if process.returncode:
        raise Unavailable(f"the unpacking of a layer ended early ({process.returncode})")
    return raw


def _read(raw: bytes) -> Applied:
    """The answer, of which nothing is taken over that has another form; raise the error that it tells."""
    try:
        answer = json.loads(raw)
        if "error" in answer:
            kind = _ERRORS.get(answer["error"], Unavailable)
            raise kind(str(answer["message"]), hint=answer.get("hint") and str(answer["hint"]))
        digest = Digest.parse(f"sha256:{answer['diff_id']}")
        texts = (tuple(map(str, answer[key])) for key in ("notices", "implied", "marked"))
        return Applied(digest, int(answer["entries"]), int(answer["size"]), *texts)
    except (KeyError, TypeError, ValueError):
        raise Unavailable("the unpacking of a layer gave no answer that can be read") from None


def _sync(folder: int) -> None:
    if ctypes.CDLL(None, use_errno=True).syncfs(folder):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
