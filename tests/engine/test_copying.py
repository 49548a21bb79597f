"""COPY and ADD as docker has them: what was seen of BuildKit in dockerd 20.10 is what is expected here."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard
from copies import STAGE, TIME, Copier, Written, file, folder, link, stage, written

from dockyard.content.tar import Kind
from dockyard.engine.archive_tree import ArchiveTree
from dockyard.engine.fetching import FetchedFile
from dockyard.engine.stack_tree import StackTree
from dockyard.errors import ArchiveInvalid, BuildFailed
from dockyard.oci.digest import Digest


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "folder/sub").mkdir(parents=True)
    (root / "folder/a.txt").write_text("a\n")
    (root / "folder/sub/b.md").write_text("b\n")
    (root / "folder/sub/b.md").chmod(0o4755)
    (root / "folder/sub").chmod(0o700)
    (root / "folder").chmod(0o700)
    (root / "folder/dangling").symlink_to("nowhere")
    os.link(root / "folder/a.txt", root / "folder/z-hard")
    os.mkfifo(root / "folder/fifo")
    (root / "folder-link").symlink_to("folder")
    (root / "file-link").symlink_to("folder/a.txt")
    (root / "out").symlink_to("/etc")
    (root / "up").symlink_to("../../../../etc/passwd")
    os.utime(root / "folder/a.txt", (1, 981_158_400.75))
    return root


@pytest.fixture
def copy(context: Path, tmp_path: Path) -> Copier:
    return Copier(context, tmp_path / "work")


def test_a_file_gets_the_destinations_name_and_new_folders_on_its_way(copy: Copier) -> None:
    found = copy("folder/a.txt", to="/opt/app/b")

    assert list(found) == ["opt", "opt/app", "opt/app/b"]
    assert found["opt/app/b"].content == b"a\n"
    assert (found["opt/app/b"].node.mode, found["opt/app/b"].node.mtime) == (0o644, 981_158_400 * 10**9)
    assert (found["opt"].node.mode, found["opt"].node.mtime, found["opt"].owner) == (0o755, TIME * 10**9, (0, 0))


def test_a_file_goes_into_a_folder_that_is_there_or_is_asked_for_with_a_slash(copy: Copier) -> None:
    assert list(copy("folder/a.txt", to="/opt", into=stage(opt=folder()))) == ["opt/a.txt"]
    assert list(copy("folder/a.txt", to="/opt/")) == ["opt", "opt/a.txt"]
    assert list(copy("folder/a.txt", to="/")) == ["a.txt"]


def test_of_a_folder_the_content_is_copied_and_not_its_own_mode(copy: Copier) -> None:
    found = copy("folder", to="/new")

    assert list(found) == ["new", "new/a.txt", "new/dangling", "new/sub", "new/sub/b.md", "new/z-hard"]
    assert found["new"].node.mode == 0o755
    assert found["new/sub"].node.mode == 0o700
    assert found["new/sub/b.md"].node.mode == 0o4755
    assert found["new/dangling"].node.link == "nowhere"
    assert (found["new/z-hard"].node.kind, found["new/z-hard"].node.link) == (Kind.HARDLINK, "new/a.txt")
    assert found["new/z-hard"].content is None


def test_a_folder_that_is_there_stays_as_it_is_but_folders_in_it_become_what_the_source_has(copy: Copier) -> None:
    found = copy("folder", to="/srv", into=stage(srv=folder(0o711), srv__sub=folder(0o777)))

    assert "srv" not in found
    assert found["srv/sub"].node.mode == 0o700


def test_everything_from_a_context_is_roots_and_from_a_stage_it_keeps_its_owner(context: Path, copy: Copier) -> None:
    os.chown(context / "folder/a.txt", 12, 34)
    from_stage = Copier(StackTree([context]), copy.work)

    assert copy("folder/a.txt", to="/a")["a"].owner == (0, 0)
    assert from_stage("folder/a.txt", to="/x/a", origin=STAGE)["x/a"].owner == (12, 34)
    assert from_stage("folder/a.txt", to="/x/a", origin=STAGE)["x"].owner == (0, 0)
    assert from_stage("folder/a.txt", to="/x/a", origin=STAGE, chown="5")["x/a"].owner == (5, 5)


def test_several_sources_need_a_folder(copy: Copier) -> None:
    with pytest.raises(BuildFailed, match="the destination must be a directory and end with a /"):
        copy("folder", "file-link", to="/x")

    found = copy("folder/a.txt", "folder/sub/b.md", to="/x/")
    assert list(found) == ["x", "x/a.txt", "x/b.md"]


def test_a_link_as_source_is_followed_inside_the_context_only(copy: Copier) -> None:
    assert copy("file-link", to="/x/")["x/file-link"].content == b"a\n"
    assert "x/sub" in copy("folder-link", to="/x")
    for source in ("out", "up", "out/passwd", "../../etc/passwd", "folder/dangling"):
        with pytest.raises(BuildFailed, match="not found"):
            copy(source, to="/x")


def test_links_that_go_in_a_circle_end(context: Path, copy: Copier) -> None:
    (context / "one").symlink_to("two")
    (context / "two").symlink_to("one")

    with pytest.raises(BuildFailed, match="too many links in /one"):
        copy("one", to="/x")


def test_copy_fetches_nothing(copy: Copier) -> None:
    with pytest.raises(BuildFailed, match="source can't be a URL for COPY"):
        copy("https://host/file", to="/x/")


def test_wildcards_match_as_gos_do_and_may_match_nothing(context: Path, copy: Copier) -> None:
    (context / ".hidden.txt").write_text("")
    (context / "folder/[x].txt").write_text("")

    assert list(copy("folder/*.txt", to="/x/")) == ["x", "x/[x].txt", "x/a.txt"]
    assert list(copy("folder/[[]x].txt", to="/x/")) == ["x", "x/[x].txt"]
    assert list(copy("fold?r/s*/b.*", to="/x/")) == ["x", "x/b.md"]
    assert list(copy("*.txt", to="/x/")) == ["x", "x/.hidden.txt"]
    assert copy("nothing*", to="/x/") == {}
    assert list(copy("folder/a.txt", "nothing*", to="/x/")) == ["x", "x/a.txt"]
    with pytest.raises(BuildFailed, match=r'^"/nothing": not found$'):
        copy("nothing", to="/x/")


def test_destinations_lead_where_links_of_the_stage_lead(copy: Copier) -> None:
    merged = stage(usr=folder(), usr__bin=folder(), bin=link("usr/bin"), loop__x=link("/../bin"), gone=link("/new/one"))

    assert list(copy("folder/a.txt", to="/bin/a", into=merged)) == ["usr/bin/a"]
    assert list(copy("folder/a.txt", to="/bin", into=merged)) == ["usr/bin/a.txt"]
    assert list(copy("folder/a.txt", to="/loop/x/", into=merged)) == ["usr/bin/a.txt"]
    assert list(copy("folder/a.txt", to="/gone", into=merged)) == ["new", "new/one"]
    assert list(copy("folder/a.txt", to="/gone/", into=merged)) == ["new", "new/one", "new/one/a.txt"]


def test_with_link_the_stage_is_not_looked_at(copy: Copier) -> None:
    merged = stage({"etc/passwd": b"ada:x:7:8::/:/bin/sh\n"}, etc__passwd=file(), bin=link("usr/bin"), x=folder())
    found = copy("folder/a.txt", to="/bin/a", into=merged, link=True, chown="ada")

    assert list(found) == ["bin", "bin/a"]
    assert found["bin"].owner == found["bin/a"].owner == (7, 8)
    assert list(copy("folder/a.txt", to="/x", into=merged, link=True)) == ["x"]


def test_files_and_folders_do_not_take_each_others_place(copy: Copier) -> None:
    there = stage(a=file(), b=folder(), b__a=folder(), c=folder(), c__sub=file())

    with pytest.raises(BuildFailed, match="mkdir /a: not a directory"):
        copy("folder", to="/a", into=there)
    with pytest.raises(BuildFailed, match="mkdir /a: not a directory"):
        copy("folder/a.txt", to="/a/", into=there)
    with pytest.raises(BuildFailed, match="mkdir /a: not a directory"):
        copy("folder/a.txt", to="/a/b", into=there)
    with pytest.raises(BuildFailed, match="cannot copy to non-directory: /c/sub"):
        copy("folder", to="/c", into=there)
    with pytest.raises(BuildFailed, match=r"cannot replace to directory /b/a\.txt with file"):
        copy("folder/a.txt", to="/b", into=stage(b=folder(), **{"b__a.txt": folder()}))


def test_a_later_source_takes_the_place_of_an_earlier_one_and_links_stay_right(context: Path, copy: Copier) -> None:
    (context / "other").mkdir()
    (context / "other/a.txt").write_text("other")
    found = copy("folder", "other", to="/x/")

    assert found["x/a.txt"].content == b"other"
    assert (found["x/z-hard"].node.kind, found["x/z-hard"].content) == (Kind.FILE, b"a\n")


def test_owners_are_numbers_or_names_of_the_stage(copy: Copier) -> None:
    there = stage(
        {"etc/passwd": b"ada:x:7:8::/:/bin/sh\n", "etc/group": b"staff:x:50:\n"}, etc__passwd=file(), etc__group=file()
    )
    wanted = {"ada": (7, 8), "ada:staff": (7, 50), "12": (12, 12), "12:staff": (12, 50), "1:2": (1, 2), ":9": (0, 9)}

    for chown, owner in wanted.items():
        found = copy("folder", to="/x/y", into=there, chown=chown)
        assert {entry.owner for entry in found.values()} == {owner}
    for chown in ("nobody", "ada:nobody", "4294967296", "99999999999999999999", "-1"):
        with pytest.raises(BuildFailed, match="invalid --chown"):
            copy("folder", to="/x/y", into=there, chown=chown)


@pytest.mark.parametrize(
    ("chmod", "of_file", "of_folder"),
    [
        ("644", 0o644, 0o644), ("04711", 0o4711, 0o4711), ("u=rwX,go=rX", 0o755, 0o755), ("a-w", 0o4555, 0o500),
        ("g+s,+t", 0o7755, 0o3700), ("o=u", 0o4757, 0o707), ("u=,go=r", 0o044, 0o044), ("go+X", 0o4755, 0o711),
    ],
)  # fmt: skip
def test_modes_are_octal_or_symbolic(copy: Copier, chmod: str, of_file: int, of_folder: int) -> None:
    found = copy("folder", to="/x", chmod=chmod)

    assert (found["x/sub/b.md"].node.mode, found["x/sub"].node.mode) == (of_file, of_folder)
    assert (found["x"].node.mode, found["x/dangling"].node.mode) == (0o755, 0o777)


@pytest.mark.parametrize("chmod", ["99", "17777", "u", "rwx", "u=z", "u=rw,", "-1"])
def test_modes_that_are_none_are_refused(copy: Copier, chmod: str) -> None:
    with pytest.raises(BuildFailed, match="invalid chmod parameter"):
        copy("folder", to="/x", chmod=chmod)


def test_excludes_are_below_the_source_and_of_a_file_its_name(copy: Copier) -> None:
    assert list(copy("folder", to="/x", excludes=("*.txt", "sub/*.md", "z-hard"))) == ["x", "x/dangling", "x/sub"]
    assert list(copy("folder", to="/x", excludes=("sub",))) == ["x", "x/a.txt", "x/dangling", "x/z-hard"]
    assert list(copy("folder/*", to="/x/", excludes=("*.txt", "z*", "*.md", "dangling"))) == ["x"]
    found = copy("folder", to="/x", excludes=("**", "!sub/b.md"))
    assert list(found) == ["x", "x/sub", "x/sub/b.md"]


def test_with_parents_sources_keep_their_folders_from_the_pivot_on(copy: Copier) -> None:
    assert list(copy("folder/sub/b.md", to="/x/", parents=True)) == [
        "x",
        "x/folder",
        "x/folder/sub",
        "x/folder/sub/b.md",
    ]
    assert list(copy("folder/./sub/b.md", to="/x/", parents=True)) == ["x", "x/sub", "x/sub/b.md"]
    assert list(copy("./folder/*/*.md", to="/x/", parents=True)) == [
        "x", "x/folder", "x/folder/sub", "x/folder/sub/b.md",
    ]  # fmt: skip
    assert list(copy("**/*.md", to="/x/", parents=True)) == ["x", "x/folder", "x/folder/sub", "x/folder/sub/b.md"]
    assert "x/folder/sub/b.md" in copy("fold*", to="/x/", parents=True)
    assert copy("folder/sub/b.md", to="/x/", parents=True)["x/folder"].node.mode == 0o700
    with pytest.raises(BuildFailed, match='"/folder/none": not found'):
        copy("folder/none", to="/x/", parents=True)


def test_inline_files_are_roots_with_mode_644(copy: Copier) -> None:
    found = copy(to="/x/", inline=(("one", b"1"), ("two", b"2")))

    assert found["x/two"].content == b"2"
    assert (found["x/one"].node.mode, found["x/one"].node.mtime) == (0o644, TIME * 10**9)
    assert copy(to="/x/y", inline=(("one", b"1"),), chmod="700", chown="3")["x/y"].node.mode == 0o700


def test_devices_and_pipes_come_from_stages_but_not_from_contexts(context: Path, copy: Copier) -> None:
    os.mknod(context / "folder/null", 0o020666, os.makedev(1, 3))

    assert "x/fifo" not in copy("folder", to="/x")
    found = Copier(StackTree([context]), copy.work)("folder", to="/x", origin=STAGE)
    assert (found["x/fifo"].node.type, found["x/null"].node.type) == (b"6", b"3")
    assert found["x/null"].node.device == (1, 3)


def test_capabilities_and_user_attributes_are_kept(context: Path, copy: Copier) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(context / "folder/a.txt", "security.capability", capability)
    os.setxattr(context / "folder/a.txt", "user.k", b"v")
    os.setxattr(context / "folder/a.txt", "trusted.t", b"v")

    for _ in range(2):
        assert copy("folder/a.txt", to="/a")["a"].node.xattrs == {"security.capability": capability, "user.k": b"v"}


def test_a_file_named_as_layers_name_removed_ones_is_refused(context: Path, copy: Copier) -> None:
    (context / ".wh.x").write_text("")

    with pytest.raises(BuildFailed, match=r"/x/\.wh\.x can't be in an image"):
        copy(".", to="/x/")


def test_what_changes_between_checksum_and_layer_ends_the_build(context: Path, copy: Copier) -> None:
    plan = copy.plan("folder/a.txt", to="/x")
    plan.checksum()
    (context / "folder/a.txt").write_text("b\n")

    with pytest.raises(BuildFailed, match=r"/folder/a\.txt changed while it was read"):
        written(plan)


def test_the_checksum_is_of_content_modes_and_names_and_not_of_times_and_owners(context: Path, copy: Copier) -> None:
    before = copy.plan("folder", to="/x").checksum()
    os.utime(context / "folder/a.txt", (5, 5))
    os.chown(context / "folder/sub", 5, 5)
    (context / "folder/fresh").write_text("")
    (context / "folder/fresh").unlink()

    assert copy.plan("folder", to="/x").checksum() == before
    (context / "folder/sub").chmod(0o711)
    changed = copy.plan("folder", to="/x").checksum()
    assert changed != before
    (context / "folder/dangling").unlink()
    (context / "folder/dangling").symlink_to("elsewhere")
    assert copy.plan("folder", to="/x").checksum() not in (before, changed)


def archive(*members: tuple[str, bytes, str], owner: tuple[int, int] = (7, 8)) -> bytes:
    """A tar of (name, type, content or link)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.gid, info.mode, info.mtime = kind, *owner, 0o750, 99
            raw = content.encode() if kind == tarfile.REGTYPE else b""
            info.size, info.linkname = len(raw), "" if raw else content
            tar.addfile(info, io.BytesIO(raw))
    return out.getvalue()


FILE, FOLDER, SYM, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
PLAIN = archive(
    ("d", FOLDER, ""), ("d/f", FILE, "content"), ("d/h", HARD, "d/f"), ("d/s", SYM, "f"), ("deep/g", FILE, "g")
)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_add_unpacks_archives_whatever_they_are_called(context: Path, copy: Copier, compress: object) -> None:
    (context / "a.bin").write_bytes(compress(PLAIN))  # type: ignore[operator]
    found = copy("a.bin", to="/x", add=True)

    assert list(found) == ["x", "x/d", "x/d/f", "x/d/h", "x/d/s", "x/deep", "x/deep/g"]
    assert found["x/d/f"].content == b"content"
    assert (found["x/d/f"].owner, found["x/d"].node.mode, found["x/d"].node.mtime) == ((7, 8), 0o750, 99 * 10**9)
    assert (found["x/d/h"].node.kind, found["x/d/h"].node.link) == (Kind.HARDLINK, "x/d/f")
    assert found["x/deep"].owner == found["x"].owner == (0, 0)
    assert copy("a.bin", to="/x", add=True, chown="3")["x/d/f"].owner == (3, 3)
    assert list(copy("a.bin", to="/x", add=True, unpack=False)) == ["x"]
    assert list(copy("a.bin", to="/x")) == ["x"]


def test_add_leaves_alone_what_only_looks_like_an_archive(context: Path, copy: Copier) -> None:
    (context / "text.tar").write_text("no archive")
    (context / "text.gz").write_bytes(gzip.compress(b"no archive"))
    (context / "empty.tar").write_bytes(bytes(10240))

    assert list(copy("text.tar", "text.gz", "empty.tar", to="/x/", add=True)) == [
        "x", "x/empty.tar", "x/text.gz", "x/text.tar",
    ]  # fmt: skip


def test_members_of_archives_stay_in_the_image_and_follow_its_links(context: Path, copy: Copier) -> None:
    (context / "a.tar").write_bytes(archive(("bin/x", FILE, "x"), ("lib", FOLDER, ""), ("lib/y", FILE, "y")))
    merged = stage(usr=folder(), usr__bin=folder(), usr__lib=folder(), bin=link("usr/bin"), lib=link("usr/lib"))

    assert list(copy("a.tar", to="/", into=merged, add=True)) == ["lib", "lib/y", "usr/bin/x"]
    (context / "b.tar").write_bytes(
        archive(("p", SYM, "/etc"), ("p/f", FILE, "in"), ("q", SYM, "../../.."), ("q/g", FILE, ""))
    )
    assert list(copy("b.tar", to="/x/y", add=True)) == ["x", "x/y", "x/y/etc", "x/y/etc/f", "x/y/g", "x/y/p", "x/y/q"]
    for name in ("../f", "a/../../f"):
        (context / "c.tar").write_bytes(archive((name, FILE, "out")))
        with pytest.raises(ArchiveInvalid, match="climbs out"):
            copy("c.tar", to="/x", add=True)


def test_an_archives_file_takes_the_place_of_what_is_in_its_way(context: Path, copy: Copier) -> None:
    (context / "a.tar").write_bytes(archive(("d", FOLDER, ""), ("d/old", FILE, "o"), ("d", FILE, "now a file")))

    assert list(copy("a.tar", to="/x", add=True, into=stage(x=folder(), x__d=folder()))) == ["x/d"]


@pytest.mark.slow
def test_an_archive_or_a_destination_that_is_far_too_deep_ends_with_an_error(context: Path, copy: Copier) -> None:
    (context / "deep.tar").write_bytes(archive(("d/" * 5000 + "f", FILE, "x")))

    with pytest.raises(BuildFailed, match="more than 250 deep"):
        copy("deep.tar", to="/x", add=True)
    assert len(copy("folder/a.txt", to="/d" * 3000)) == 3000


def test_holes_in_archives_are_filled_with_zeros(context: Path, copy: Copier) -> None:
    with (context / "holes").open("wb") as out:
        out.truncate(300_000)
        out.seek(200_000)
        out.write(b"data")
    subprocess.run(["tar", "--sparse", "-cf", context / "s.tar", "-C", context, "holes"], check=True)
    found = copy("s.tar", to="/x", add=True)

    assert found["x/holes"].content == (context / "holes").read_bytes()


def test_files_of_an_archive_can_be_read_from_any_place(context: Path, copy: Copier) -> None:
    content = bytes(100_000) + b"data" + bytes(50_000) + b"end"
    (context / "holes").write_bytes(content)
    subprocess.run(["fallocate", "--dig-holes", context / "holes"], check=True)
    subprocess.run(["tar", "--sparse", "-cf", context / "s.tar", "-C", context, "holes"], check=True)
    with (context / "s.tar").open("rb") as raw, ArchiveTree(raw).open("holes") as file:
        for start in (0, 1, 99_999, 100_000, 100_002, 120_000, 150_003, len(content), len(content) + 5):
            file.seek(start)

            assert b"".join(iter(lambda: file.read(7777), b"")) == content[start:]


def test_a_downloaded_file_is_roots_alone_and_unpacked_when_asked(copy: Copier, tmp_path: Path) -> None:
    (tmp_path / "f.tar").write_bytes(PLAIN)
    digest = Digest.of(PLAIN)
    fetched = {"http://h/f.tar": FetchedFile("f.tar", tmp_path / "f.tar", len(PLAIN), 1234, digest)}
    found = copy("http://h/f.tar", to="/x/", add=True, fetched=fetched)

    assert found["x/f.tar"].content == PLAIN
    assert (found["x/f.tar"].node.mode, found["x/f.tar"].node.mtime) == (0o600, 1234 * 10**9)
    assert "x/d/f" in copy("http://h/f.tar", to="/x/", add=True, fetched=fetched, unpack=True)


def test_entries_come_in_an_order_that_only_paths_decide(context: Path, copy: Copier) -> None:
    for name in ("b", "a-b", "a", "a.c"):
        (context / "many" / name / "inside").mkdir(parents=True)
    found: dict[str, Written] = copy("many", to="/x")

    assert list(found) == [
        "x", "x/a", "x/a/inside", "x/a-b", "x/a-b/inside", "x/a.c", "x/a.c/inside", "x/b", "x/b/inside",
    ]  # fmt: skip
