"""What becomes of a build's result: an image in the store, an archive, or the files alone."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.content.folders import storage_errors, sync_folder
from dockyard.content.packing import pack
from dockyard.content.tree_removal import remove_tree
from dockyard.content.unpack import apply_layer
from dockyard.engine.base_images import fits
from dockyard.engine.facts import read_facts
from dockyard.engine.layer_trees import FILES
from dockyard.engine.snapshots import Snapshots
from dockyard.engine.stack_tree import StackTree
from dockyard.errors import BuildFailed, Invalid
from dockyard.oci.manifest import make_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from dockyard.engine.build_events import Output
    from dockyard.engine.build_state import State
    from dockyard.engine.images import Images
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference


def store(
    images: Images, states: Sequence[State], platforms: Sequence[Platform]
) -> tuple[Descriptor, Digest, set[Digest]]:
    """Write the manifests and configs of a result; return what names it, the image's ID, and all of them.

    BuildFailed where one of several ``platforms`` would get another's files.
    """
    children: list[Descriptor] = []
    parts: set[Digest] = set()
    config_id: Digest | None = None
    for state, wanted in zip(states, platforms, strict=True):
        if len(states) > 1 and not fits(state.platform, wanted):
            raise BuildFailed(
                f"the image for {wanted} would be one of {state.platform}: its last stage starts from that",
                hint="Leave --platform out of the FROM of the stage that becomes the image.",
            )
        raw, manifest = state.image()
        assert manifest.config  # noqa: S101 - made so
        config_id = manifest.config.digest
        images.hold(config_id)
        images.files.put(raw, config_id)
        images.keep(manifest)
        parts |= {config_id, manifest.digest}
        children.append(type(manifest.descriptor)(
            manifest.media_type, manifest.digest, len(manifest.raw), platform=state.platform,
        ))  # fmt: skip
    if len(states) > 1 or config_id is None:
        index = make_index(children)
        images.keep(index)
        return index.descriptor, read_facts(images, index.descriptor).id, parts | {index.digest}
    target = children[0]
    return type(target)(target.media_type, target.digest, target.size), config_id, parts


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
            if output.type == "docker" and len(states) > 1:
                raise Invalid(
                    "the docker format holds one platform, and several were built",
                    hint="Write --output type=oci, or build for one platform.",
                )
            pack(out, images.files, [(target, names)], "docker" if output.type == "docker" else "oci")


@contextmanager
def unpacked(images: Images, state: State, beside: Path) -> Iterator[Path]:
    """A folder with the files of an image, all layers in one, that is gone afterwards. BuildFailed; Full."""
    for layer in state.layers:
        if not images.files.has(layer.descriptor):
            raise BuildFailed(
                f"the layer {layer.diff_id.short} of the base is not in the store",
                hint=f"It is only at {layer.descriptor.urls[0]}." if layer.descriptor.urls else None,
            )
    with storage_errors(beside):
        root = Path(tempfile.mkdtemp(prefix=".dockyard-", dir=beside))
    try:
        files = root / "root"
        files.mkdir(0o755)
        for layer in state.layers:
            apply_layer(images.files.path(layer.descriptor.digest), files, whiteouts="remove")
        yield _windows_files(files) if state.is_windows else files
    finally:
        remove_tree(root)


def _windows_files(root: Path) -> Path:
    """The files of a Windows image among what its layers hold, with targets of links as they are in the image."""
    inside = root / FILES.rstrip("/")
    if inside.is_symlink() or not inside.is_dir():
        (root / "none").mkdir()
        return root / "none"
    for folder, folders, files in os.walk(inside):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink() and (target := os.readlink(path)).startswith(FILES):
                path.unlink()
                path.symlink_to(target.removeprefix(FILES))
    return inside


def _local(images: Images, states: Sequence[State], folder: Path) -> None:
    """Put the files into ``folder``, beside what is there; with several platforms each has a folder of its own.

    Nothing is changed there until all of it is unpacked.
    """
    with storage_errors(folder), ExitStack() as stack:
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            roots = [stack.enter_context(unpacked(images, state, folder)) for state in states]
        except BaseException:
            if made:
                stack.close()
                with suppress(OSError):
                    folder.rmdir()
            raise
        for state, root in zip(states, roots, strict=True):
            _own(root)
            if len(states) > 1:
                above = root.parent / "platform"
                above.mkdir()
                root.rename(above / _named(state))
                root = above
            _merge(root, folder)


def _merge(source: Path, target: Path) -> None:
    """Move everything below ``source`` into ``target``; folders that are in both become one. Links are not followed."""
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        to = target / entry.name
        if to.is_dir() and not to.is_symlink():
            if entry.is_dir(follow_symlinks=False):
                _merge(Path(entry.path), to)
                shutil.copystat(entry.path, to)
                continue
            shutil.rmtree(to)
        elif to.is_symlink() or to.exists():
            to.unlink()
        os.rename(entry.path, to)


def _own(root: Path) -> None:
    """Give all files to whoever builds, as docker does; modes stay, which a change of owner may have cut."""
    owner = os.geteuid(), os.getegid()
    for folder, folders, files in os.walk(root):
        for path in (os.path.join(folder, name) for name in (*folders, *files)):
            state = os.lstat(path)
            if (state.st_uid, state.st_gid) != owner:
                os.chown(path, *owner, follow_symlinks=False)
                if not stat.S_ISLNK(state.st_mode):
                    os.chmod(path, stat.S_IMODE(state.st_mode))


def _named(state: State) -> str:
    return str(state.platform).replace("/", "_")


def _tar(images: Images, states: Sequence[State], out: BinaryIO) -> None:
    """One tar of the files; with several platforms each below a folder of its own."""
    from dockyard.engine.tree_tar import write_tree

    for number, state in enumerate(states):
        with Snapshots(images).work() as work, unpacked(images, state, work) as root:
            prefix = _named(state) if len(states) > 1 else ""
            write_tree(StackTree([root]), out, prefix=prefix, last=number == len(states) - 1)


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
