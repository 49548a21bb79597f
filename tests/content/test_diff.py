"""The upper folder of an overlay as a layer: nothing is lost, removals become whiteouts, no link is followed."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import must
from written_layers import Written, write

from dockyard.content.diff import diff_layer, open_file
from dockyard.content.tar import Kind
from dockyard.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockyard.content.layers import Entry

NS = 1_000_000_000


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    (tmp_path / "upper").mkdir()
    return tmp_path / "upper"


def entries(upper: Path) -> dict[str, Entry]:
    return {entry.path: entry for entry, _ in diff_layer(upper)}


def contents(upper: Path) -> Iterator[tuple[Entry, bytes | None]]:
    for entry, path in diff_layer(upper):
        if path is None:
            yield entry, None
        else:
            with open_file(path) as file:
                yield entry, file.read()


def as_layer(store: Path, upper: Path) -> Written:
    return write(store, contents(upper))


def whiteout(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(0, 0))


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder that a layer keeps, told by lstat."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for folder, folders, files in os.walk(root):
        for name in sorted([*folders, *files]):
            path = Path(folder, name)
            info = path.lstat()
            here = str(path.relative_to(root))
            same = first.setdefault(info.st_ino, here) if stat.S_ISREG(info.st_mode) else here
            content = (
                path.read_bytes() if stat.S_ISREG(info.st_mode)
                else os.readlink(path) if stat.S_ISLNK(info.st_mode) else info.st_rdev
            ) if not stat.S_ISDIR(info.st_mode) else b""  # fmt: skip
            xattrs = tuple(
                (key, os.getxattr(path, key, follow_symlinks=False))
                for key in sorted(os.listxattr(path, follow_symlinks=False))
            )
            found[here] = (info.st_mode, info.st_uid, info.st_gid, int(info.st_mtime), content, same, xattrs)
    return found


def unpacked(layer: Written, target: Path) -> Path:
    target.mkdir()
    command = ["tar", "--xattrs", "--xattrs-include=*", "-xpf", "-", "-C", target]
    subprocess.run(command, input=layer.plain, check=True)
    return target


def test_what_is_in_the_upper_folder_is_in_the_layer(upper: Path, tmp_path: Path) -> None:
    (upper / "b").mkdir(0o750)
    (upper / "b/setuid").write_bytes(b"x" * 1000)
    (upper / "b/setuid").chmod(0o6755)
    (upper / "a-file").write_bytes(b"")
    os.chown(upper / "a-file", 1000, 2000)
    os.setxattr(upper / "a-file", "user.note", b"\0\1=\n")
    os.setxattr(upper / "b/setuid", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.setxattr(upper / "b", "trusted.kept", b"1")
    (upper / "link").symlink_to("/etc/shadow")
    (upper / "b/loop").symlink_to("..")
    os.mkfifo(upper / "pipe", 0o620)
    os.mknod(upper / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(upper / "disk", 0o660 | stat.S_IFBLK, os.makedev(7, 300))
    os.link(upper / "b/setuid", upper / "z")
    os.link(upper / "b/setuid", upper / "b/y")
    os.utime(upper / "b", ns=(0, 5 * NS))
    layer = as_layer(tmp_path, upper)

    assert tree(unpacked(layer, tmp_path / "out")) == tree(upper)


names = st.sampled_from(["a", "b", "c.d", "e-f", "ä", "wh", "x" * 120])


@settings(max_examples=60, deadline=None)
@given(st.lists(
    st.tuples(
        st.lists(names, min_size=1, max_size=4), st.sampled_from(["file", "folder", "link", "hardlink", "pipe"]),
        st.integers(0, 0o7777), st.integers(0, 2**31 - 1), st.integers(0, 2**33), st.binary(max_size=2000),
    ), max_size=15,
))  # fmt: skip
def test_unpacking_a_diff_gives_the_tree_back(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[list[str], str, int, int, int, bytes]]
) -> None:
    base = tmp_path_factory.mktemp("property")
    upper = base / "upper"
    upper.mkdir()
    files: list[Path] = []
    for parts, kind, mode, owner, time, content in made:
        path = upper.joinpath(*parts)
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            match kind:
                case "folder":
                    path.mkdir()
                case "link":
                    path.symlink_to(content.hex()[:300] or "x")
                case "hardlink" if files:
                    os.link(files[len(content) % len(files)], path)
                case "pipe":
                    os.mkfifo(path)
                case _:
                    with path.open("xb") as file:
                        file.write(content)
                    files.append(path)
            os.chown(path, owner, owner // 2, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(mode)
            os.utime(path, ns=(0, time * NS), follow_symlinks=False)
    layer = as_layer(base / "store", upper)

    assert tree(unpacked(layer, base / "out")) == tree(upper)
    assert [member.name for member in layer.members()] == sorted(
        (member.name for member in layer.members()), key=lambda name: [part.encode() for part in name.split("/")]
    )


def test_removals_become_whiteouts(upper: Path, tmp_path: Path) -> None:
    for name in ("kept", "new"):
        (upper / name).mkdir()
    whiteout(upper / "gone")
    whiteout(upper / "kept/.hidden")
    os.setxattr(upper / "new", "trusted.overlay.opaque", b"y")
    os.setxattr(upper / "new", "trusted.overlay.origin", b"anything")
    (upper / "new/file").touch()
    layer = as_layer(tmp_path, upper)

    assert [(m.name, m.type, m.mode, m.uid, m.mtime) for m in layer.members() if ".wh." in m.name] == [
        (".wh.gone", b"0", 0, 0, 0), ("kept/.wh..hidden", b"0", 0, 0, 0), ("new/.wh..wh..opq", b"0", 0, 0, 0),
    ]  # fmt: skip
    assert [m.name for m in layer.members()] == [
        ".wh.gone", "kept", "kept/.wh..hidden", "new", "new/.wh..wh..opq", "new/file"
    ]  # fmt: skip
    assert not any(entry.node.xattrs for entry in layer.layer.index)


def test_the_form_of_user_namespaces_is_read_too(upper: Path) -> None:
    (upper / "new").mkdir()
    os.setxattr(upper / "new", "user.overlay.opaque", b"y")
    os.setxattr(upper / "new", "user.mine", b"1")
    found = entries(upper)

    assert list(found) == ["new", "new/.wh..wh..opq"]
    assert found["new"].node.xattrs == {"user.mine": b"1"}


def test_a_real_overlay_is_read_as_it_was_changed(upper: Path, tmp_path: Path) -> None:
    lower, work, merged = (tmp_path / name for name in ("lower", "work", "merged"))
    for folder in (lower, work, merged):
        folder.mkdir()
    (lower / "dir/sub").mkdir(parents=True)
    (lower / "dir/old").write_text("old")
    (lower / "dir/sub/deep").write_text("deep")
    (lower / "replaced").mkdir()
    (lower / "replaced/hidden").touch()
    (lower / "gone").touch()
    (lower / "chmodded").write_text("same")
    options = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off,metacopy=off"
    must("mount", "-t", "overlay", "overlay", "-o", options, merged)
    try:
        (merged / "gone").unlink()
        (merged / "dir/sub/deep").write_text("changed")
        must("rm", "-r", merged / "replaced")
        (merged / "replaced").mkdir()
        (merged / "replaced/new").touch()
        (merged / "chmodded").chmod(0o600)
    finally:
        must("umount", merged)
    found = entries(upper)

    assert list(found) == [
        "chmodded", "dir", "dir/sub", "dir/sub/deep", ".wh.gone", "replaced", "replaced/.wh..wh..opq", "replaced/new"
    ]  # fmt: skip
    assert found["chmodded"].node.size == 4 and found["chmodded"].node.mode == 0o600
    assert not any(entry.node.xattrs for entry in found.values())


def test_what_is_skipped_is_left_out_with_all_in_it(upper: Path) -> None:
    for name in ("a", "a/b", "c"):
        (upper / name).mkdir()
        (upper / name / "file").touch()
    found = [entry.path for entry, _ in diff_layer(upper, skip=lambda path: path in ("a/b", "c/file"))]

    assert found == ["a", "a/file", "c"]


def test_a_hardlink_to_what_is_skipped_holds_the_content(upper: Path) -> None:
    (upper / "a").write_text("text")
    os.link(upper / "a", upper / "b")
    found = [(entry.path, entry.node.kind, path) for entry, path in diff_layer(upper, skip=lambda path: path == "a")]

    assert found == [("b", Kind.FILE, upper / "b")]


def test_a_hardlink_has_the_attributes_of_its_file_for_those_who_set_them_again(upper: Path) -> None:
    (upper / "a").touch()
    os.setxattr(upper / "a", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.link(upper / "a", upper / "b")
    found = entries(upper)

    assert found["b"].node.kind is Kind.HARDLINK and found["b"].node.link == "a"
    assert found["b"].node.xattrs == found["a"].node.xattrs != {}


def test_sockets_are_left_out(upper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(upper)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")

    assert entries(upper) == {}


@pytest.mark.parametrize("name", ["trusted.overlay.redirect", "trusted.overlay.metacopy", "user.overlay.redirect"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_in_a_lower_folder_in_part_is_refused(upper: Path, name: str, kind: str) -> None:
    (upper / "x").touch() if kind == "file" else (upper / "x").mkdir()
    os.setxattr(upper / "x", name, b"/elsewhere")
    with pytest.raises(Unsupported, match="x is only in part") as refused:
        entries(upper)

    assert refused.value.hint and "redirect_dir=off" in refused.value.hint


@pytest.mark.parametrize("name", [".wh.x", ".wh.", ".wh..wh..opq"])
def test_a_name_that_would_remove_a_file_elsewhere_is_refused(upper: Path, name: str) -> None:
    (upper / "d").mkdir()
    (upper / "d" / name).touch()
    with pytest.raises(Unsupported, match=f"d/{name} can't be in a layer"):
        entries(upper)


def test_no_link_is_followed(upper: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/canary").write_text("secret")
    (upper / "folder").symlink_to(tmp_path / "outside")
    (upper / "file").symlink_to(tmp_path / "outside/canary")
    found = entries(upper)

    assert {path: entry.node.kind for path, entry in found.items()} == {"file": Kind.SYMLINK, "folder": Kind.SYMLINK}
    with pytest.raises(OSError, match="symbolic"):
        open_file(upper / "file")


def test_the_order_is_of_bytes_with_folders_before_what_is_in_them(upper: Path) -> None:
    for name in ("b", "a", "a-b", "B", "ä", "a.d"):
        (upper / name).mkdir()
        (upper / name / "f").touch()

    assert [entry.path for entry, _ in diff_layer(upper)] == [
        f"{name}{rest}" for name in ("B", "a", "a-b", "a.d", "b", "ä") for rest in ("", "/f")
    ]


def test_a_tree_deeper_than_pythons_stack_is_read(upper: Path) -> None:
    depth = 700
    descriptor = os.open(upper, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)

    assert len(entries(upper)) == depth


def test_a_walk_that_is_left_closes_its_folders(upper: Path) -> None:
    (upper / "a/b/c").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    walk = diff_layer(upper)
    for _ in range(3):
        next(walk)
    walk.close()  # type: ignore[attr-defined]

    assert len(os.listdir("/proc/self/fd")) == before
