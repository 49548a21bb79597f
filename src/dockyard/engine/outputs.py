"""What becomes of a build's result: an image in the store, an archive, or the files alone."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.content.folders import storage_errors, sync_folder
from dockyard.content.packing import pack
from dockyard.content.unpack import apply_layer
from dockyard.engine.folder_tree import FolderTree
from dockyard.errors import Invalid
from dockyard.oci.manifest import make_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from dockyard.engine.build_events import Output
    from dockyard.engine.build_state import State
    from dockyard.engine.images import Images
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.reference import Reference


def store(images: Images, states: Sequence[State], *, always_index: bool = False) -> tuple[Descriptor, Digest]:
    """Write the manifests and configs of a result; return what names it, and the image's ID (an index's digest)."""
    children: list[Descriptor] = []
    config_id: Digest | None = None
    for state in states:
        raw, manifest = state.image()
        assert manifest.config  # noqa: S101 - made so
        config_id = manifest.config.digest
        images.hold(config_id)
        images.files.put(raw, config_id)
        images.keep(manifest)
        children.append(type(manifest.descriptor)(
            manifest.media_type, manifest.digest, len(manifest.raw), platform=state.platform,
        ))  # fmt: skip
    if len(states) > 1 or always_index or config_id is None:
        index = make_index(children)
        images.keep(index)
        return index.descriptor, index.digest
    target = children[0]
    return type(target)(target.media_type, target.digest, target.size), config_id


def write(
    images: Images,
    output: Output,
    states: Sequence[State],
    target: Descriptor | None,
    names: Sequence[Reference],
    stdout: BinaryIO | None,
) -> None:
    """Write a result as ``tar`` or ``local``, or a stored ``target`` as ``oci`` or ``docker``. Invalid; Full."""
    if output.type == "local":
        _local(images, states, Path(output.dest))
        return
    with _opened(output.dest, stdout) as out:
        if output.type == "tar":
            _tar(images, states, out)
        elif target:
            pack(out, images.files, [(target, names)], "docker" if output.type == "docker" else "oci")


@contextmanager
def unpacked(images: Images, state: State, beside: Path) -> Iterator[Path]:
    """A folder with the files of an image, all layers in one, that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".dockyard-", dir=beside, ignore_cleanup_errors=True) as folder:
        root = Path(folder, "root")
        root.mkdir(0o755)
        for layer in state.layers:
            apply_layer(images.files.path(layer.descriptor.digest), root, whiteouts="remove")
        yield root


def _local(images: Images, states: Sequence[State], folder: Path) -> None:
    """Put the files into ``folder``, beside what is there; with several platforms each has a folder of its own."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for state in states:
            into = folder / str(state.platform).replace("/", "_") if len(states) > 1 else folder
            into.mkdir(exist_ok=True)
            with unpacked(images, state, folder) as root:
                _merge(root, into)


def _merge(source: Path, target: Path) -> None:
    """Move everything below ``source`` into ``target``; folders that are in both become one. Links are not followed."""
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        to = target / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        _own(entry)
        if is_folder and to.is_dir() and not to.is_symlink():
            _merge(Path(entry.path), to)
            continue
        if to.is_symlink() or to.exists():
            if to.is_dir() and not to.is_symlink():
                shutil.rmtree(to)
            else:
                to.unlink()
        os.rename(entry.path, to)


def _own(entry: os.DirEntry[str]) -> None:
    """Give a file to whoever builds, as docker does; its mode stays, which a change of owner may have cut."""
    state = entry.stat(follow_symlinks=False)
    if (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(entry.path, os.geteuid(), os.getegid(), follow_symlinks=False)
        if not entry.is_symlink():
            os.chmod(entry.path, stat.S_IMODE(state.st_mode))


def _tar(images: Images, states: Sequence[State], out: BinaryIO) -> None:
    """One tar of the files; with several platforms each below a folder of its own."""
    from dockyard.engine.tree_tar import write_tree

    for number, state in enumerate(states):
        with unpacked(images, state, images.files.ingest) as root:
            prefix = str(state.platform).replace("/", "_") if len(states) > 1 else ""
            write_tree(FolderTree(root), out, prefix=prefix, last=number == len(states) - 1)


@contextmanager
def _opened(dest: str, stdout: BinaryIO | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that is there once it is whole."""
    if dest in ("-", ""):
        if stdout is None:
            raise Invalid(
                "dest file is required for this output", hint="Write for example: --output type=oci,dest=FILE"
            )
        yield stdout
        stdout.flush()
        return
    path = Path(dest).absolute()
    if path.is_dir():
        raise Invalid(f"{dest} is a folder; this output is a file")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name[:100]}.{os.urandom(8).hex()}")
        try:
            with beside.open("xb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            beside.replace(path)
            sync_folder(path.parent)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()
