"""Unpacked layers, ready to be mounted.

::

    STORE/snapshots/<hex>/fs          the files of one layer, as overlayfs wants them; <hex> is the layer's chain ID
    STORE/snapshots/<hex>/size        its bytes on disk, as text
    STORE/snapshots/new-<hex>         on its way; whoever holds the lock may remove what another left there
    STORE/snapshots/gone-<random>     being removed
    STORE/snapshots/work-<random>     what a step at work writes, for as long as its lock is held
    STORE/snapshots/locks/<name>      held by who unpacks, or works

A snapshot is durable and complete once it has its name. A chain ID in a lease (engine/leases) keeps it.
"""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.content.folders import make_folder, storage_errors, sync_folder
from dockyard.engine import host
from dockyard.engine.leases import live
from dockyard.errors import DigestInvalid
from dockyard.oci.digest import Digest
from dockyard.oci.image import next_chain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dockyard.content.unpack import Applied
    from dockyard.engine.images import Images
    from dockyard.oci.descriptor import Descriptor


@dataclass(frozen=True, slots=True)
class Stack:
    """Unpacked layers, the lowest first; ``chain`` is the identity of them all, ``None`` of no layers."""

    lowers: tuple[Path, ...] = ()
    chain: Digest | None = None


@dataclass(frozen=True, slots=True)
class _Missing:
    """A layer that has to be unpacked, the layers below it, and where it is unpacked."""

    blob: Descriptor
    diff_id: Digest
    chain: Digest
    lowers: tuple[Path, ...]
    new: Path


class Snapshots:
    """The unpacked layers of one store, which several processes may use at once."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self.folder = images.root / "snapshots"

    def ensure(self, layers: Sequence[tuple[Descriptor, Digest]]) -> Stack:
        """Return the stack of these layers with their diff IDs, unpacking what is missing, several at once.

        They stay until the store's session ends. DigestInvalid where a layer's bytes have another diff ID.
        """
        chain: Digest | None = None
        chains: list[Digest] = []
        for _, diff_id in layers:
            chain = next_chain(chain, diff_id)
            chains.append(chain)
        if not chains:
            return Stack()
        self._images.hold(*chains)
        self._make()
        paths = tuple(self.path(chain) for chain in chains)
        if not all(self._has(chain) for chain in chains):
            with storage_errors(self.folder), ExitStack() as held:
                missing: list[_Missing] = []
                # Everybody takes locks from the lowest layer up, so that nobody waits for one who waits.
                for number, (blob, diff_id) in enumerate(layers):
                    chain = chains[number]
                    if not self._has(chain):
                        held.enter_context(self._locked(chain.hex))
                    if not self._has(chain):
                        missing.append(_Missing(blob, diff_id, chain, paths[:number], self._clean(chain)))
                self._unpack(missing)
        return Stack(paths, chain)

    def adopt(self, stack: Stack, diff_id: Digest, upper: Path) -> Stack:
        """Keep what a step wrote as the unpacked layer of that diff ID; ``upper`` is moved, or dropped where known."""
        chain = next_chain(stack.chain, diff_id)
        self._images.hold(chain)
        self._make()
        with storage_errors(self.folder), self._locked(chain.hex):
            if not self._has(chain):
                new = self._clean(chain)
                upper.rename(new / "fs")
                self._finish(chain, new)
        return Stack((*stack.lowers, self.path(chain)), chain)

    def path(self, chain: Digest) -> Path:
        """Where the files of a layer are, or would be."""
        return self.folder / chain.hex / "fs"

    def sizes(self) -> dict[Digest, int]:
        """Every snapshot with its bytes on disk."""
        found: dict[Digest, int] = {}
        for path in self._complete():
            with suppress(OSError, ValueError):
                found[Digest("sha256", path.name)] = int((path / "size").read_text())
        return found

    def remove_unreached(self, keep: set[Digest]) -> int:
        """Remove snapshots but those in ``keep`` and in live leases, and what the killed left; bytes that are freed."""
        if not self.folder.is_dir():
            return 0
        sizes, freed = self.sizes(), 0
        with self._images.locked():
            kept = {digest.hex for digest in keep | live(self._images.root / "leases")}
            for path in self._complete():
                if path.name not in kept:
                    path.rename(self.folder / f"gone-{os.urandom(8).hex()}")
                    freed += sizes.get(Digest("sha256", path.name), 0)
        self.sweep()
        return freed

    def sweep(self) -> None:
        """Remove what killed processes left."""
        for path in list(self.folder.glob("*-*")) if self.folder.is_dir() else []:
            kind, _, name = path.name.partition("-")
            if kind == "gone":
                host.remove_tree(path)
            elif kind in {"new", "work"}:
                with self._locked(name if kind == "new" else path.name, wait=False) as held:
                    if held:
                        host.remove_tree(path)

    @contextmanager
    def work(self) -> Iterator[Path]:
        """A folder on the snapshots' file system for one step; it is removed at the end, or after a kill by others."""
        self._make()
        path = self.folder / f"work-{os.urandom(8).hex()}"
        with self._locked(path.name):
            with storage_errors(self.folder):
                path.mkdir(0o700)
            try:
                yield path
            finally:
                host.remove_tree(path)

    def _make(self) -> None:
        self._images.make()
        with storage_errors(self.folder):
            make_folder(self.folder)
            make_folder(self.folder / "locks")

    def _has(self, chain: Digest) -> bool:
        return self.path(chain).is_dir()

    def _complete(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if len(path.name) == 64] if self.folder.is_dir() else []

    def _unpack(self, missing: Sequence[_Missing]) -> None:
        """Unpack layers, several at once; then, from the lowest, have each say what it takes from those below it."""
        from dockyard.content.unpack import settle_layer

        try:
            with ThreadPoolExecutor(max(1, min(len(missing), os.cpu_count() or 1))) as threads:
                running = [threads.submit(self._apply, layer) for layer in missing]
                try:
                    applied = [each.result() for each in running]
                except BaseException:
                    threads.shutdown(cancel_futures=True)
                    raise
            for layer, found in zip(missing, applied, strict=True):
                settle_layer(layer.new / "fs", found, layer.lowers, sync=False)
                self._finish(layer.chain, layer.new)
        except BaseException:
            for layer in missing:
                host.remove_tree(layer.new)
            raise

    def _apply(self, layer: _Missing) -> Applied:
        from dockyard.content.unpack import apply_layer

        files = layer.new / "fs"
        files.mkdir(0o755)
        files.chmod(0o755)  # whatever the umask: it is the container's root folder
        blob = self._images.files.path(layer.blob.digest)
        found = apply_layer(blob, files, whiteouts="overlay", sync=False)
        if found.diff_id != layer.diff_id:
            raise DigestInvalid(
                f"layer {layer.blob.digest} has the diff ID {found.diff_id}, and its image says {layer.diff_id}"
            )
        return found

    def _clean(self, chain: Digest) -> Path:
        """The folder that a snapshot is made in, empty. Only with its lock."""
        new = self.folder / f"new-{chain.hex}"
        host.remove_tree(new)
        new.mkdir(0o700)
        new.chmod(0o700)
        return new

    def _finish(self, chain: Digest, new: Path) -> None:
        (new / "size").write_text(str(disk_size(new / "fs")))
        descriptor = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            host.sync_file_system(descriptor)
        finally:
            os.close(descriptor)
        new.rename(self.folder / chain.hex)
        sync_folder(self.folder)

    @contextmanager
    def _locked(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock of that name; without ``wait`` say whether it could be had. Its file goes with it."""
        path = self.folder / "locks" / name
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(descriptor)
                yield False
                return
            # The one before may have removed the file that was opened here.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    break
            os.close(descriptor)
        try:
            yield True
        finally:
            path.unlink()
            os.close(descriptor)


def disk_size(path: Path) -> int:
    """Bytes that a folder's files take on disk; one with several names counts once."""
    total, seen = 0, set[tuple[int, int]]()
    for folder, _, files in os.walk(path):
        for name in (".", *files):
            found = os.lstat(os.path.join(folder, name))
            if found.st_nlink == 1 or (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total
