"""The process in which a layer is unpacked: started for one layer by ``content/unpack``, which reads what it prints.

All that it will need is imported before it shuts itself in. The plain bytes are made and hashed by a second thread.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import queue
import threading
from typing import TYPE_CHECKING, Any, cast

from dockyard.content.applying import Applier
from dockyard.content.compress import Plain
from dockyard.content.confinement import confine
from dockyard.content.tar import TarReader
from dockyard.errors import ArchiveInvalid, Denied, DockyardError, Full, Unavailable

if TYPE_CHECKING:
    from typing import BinaryIO, NoReturn

WHAT = "the layer"
_PIECE = 256 * 1024
_PIECES = 8


def main(order: dict[str, Any]) -> NoReturn:
    """Carry out the order, print what came of it as JSON on descriptor 1, and end."""
    answer: dict[str, Any]
    try:
        confine(order["target"], trusted=order["opaque"].startswith("trusted."))
        answer = _apply(order)
    except DockyardError as error:
        answer = _refusal(error)
    except MemoryError:
        answer = _refusal(ArchiveInvalid(f"{WHAT} needs more memory than unpacking may take: refused"))
    except OSError as error:
        answer = _refusal(_translate(error))
    except BaseException as error:
        answer = {"error": "", "message": f"{type(error).__name__}: {error}"}
    _print(json.dumps(answer).encode())
    # Without the interpreter's own end, which would wait for the thread and look for modules.
    os._exit(0)


def _apply(order: dict[str, Any]) -> dict[str, Any]:
    plain = _PlainBytes(order["blob"], order["bytes"], order["ratio"], order["ratio_from"])
    applier = Applier(opaque=order["opaque"], entries=order["entries"], size=order["bytes"])
    folders = applier.folders
    if not plain.at_end():  # a layer of no bytes at all has no files
        reader = TarReader(cast("BinaryIO", plain), what=WHAT)
        while (member := reader.next()) is not None:
            try:
                applier.put(member, reader)
            except OSError as error:
                raise _translate(error, member.name) from None
    folders.finish()
    while plain.read(_PIECE):  # what follows the end of the archive is part of the layer's bytes
        pass
    return {
        "diff_id": plain.hasher.hexdigest(),
        "size": plain.size,
        "entries": folders.entries,
        "notices": applier.notices.texts,
        "implied": sorted(folders.implied),
        "marked": sorted(folders.marked),
    }


class _PlainBytes:
    """The plain bytes of a blob as a file; a thread makes, counts and hashes them ahead of who reads."""

    def __init__(self, blob: int, limit: int, ratio: int, ratio_from: int) -> None:
        self._blob, self._limit, self._ratio, self._ratio_from = blob, limit, ratio, ratio_from
        self._ready: queue.Queue[bytes | BaseException] = queue.Queue(_PIECES)
        self._piece, self._at, self._ended = b"", 0, False
        self.hasher = hashlib.sha256(usedforsecurity=False)
        self.size = 0
        threading.Thread(target=self._make, daemon=True).start()

    def at_end(self) -> bool:
        """Whether no more bytes come."""
        if self._at == len(self._piece) and not self._ended:
            self._next()
        return self._at == len(self._piece)

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes, none at the end."""
        if self._at == len(self._piece):
            if self._ended:
                return b""
            self._next()
        start, self._at = self._at, min(self._at + size, len(self._piece))
        if not start and self._at == len(self._piece):
            return self._piece
        return self._piece[start : self._at]

    def _next(self) -> None:
        made = self._ready.get()
        if isinstance(made, BaseException):
            raise made
        self._piece, self._at, self._ended = made, 0, not made

    def _make(self) -> None:
        try:
            # Its end must not close the descriptor: the thread may end before the ratio is looked at.
            raw = open(self._blob, "rb", buffering=0, closefd=False)  # noqa: SIM115
            plain = Plain(cast("BinaryIO", raw), what=WHAT)
            while piece := plain.read(_PIECE):
                self.hasher.update(piece)
                self.size += len(piece)
                self._check()
                self._ready.put(piece)
            self._ready.put(b"")
        except BaseException as error:
            self._ready.put(error)

    def _check(self) -> None:
        if self.size > self._limit:
            raise ArchiveInvalid(f"{WHAT} unpacks to more than {self._limit} bytes: refused")
        if self.size > self._ratio_from and self.size > self._ratio * os.lseek(self._blob, 0, os.SEEK_CUR):
            raise ArchiveInvalid(f"{WHAT} unpacks to more than {self._ratio} times its size: refused")


def _translate(error: OSError, name: str = "") -> DockyardError:
    what = f"can't unpack {name[:200]!r}" if name else "can't unpack"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return Full("no space left to unpack a layer", hint="Free some space; nothing half-written is kept.")
        case errno.ENAMETOOLONG | errno.ELOOP:
            return ArchiveInvalid(f"{what}: {error.strerror}")
        case errno.EINVAL | errno.EOVERFLOW:
            hint = "In a user namespace every owner needs an id: add a longer range to /etc/subuid and /etc/subgid."
            return Denied(f"{what}: the system does not take its owner or type", hint=hint)
        case errno.EPERM | errno.EACCES:
            return Denied(f"{what}: {error.strerror}")
    return Unavailable(f"{what}: {error.strerror}")


def _refusal(error: DockyardError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": error.message, "hint": error.hint}


def _print(answer: bytes) -> None:
    while answer:
        answer = answer[os.write(1, answer) :]
