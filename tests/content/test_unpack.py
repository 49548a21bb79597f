"""What a layer says comes out of it: modes, owners, times, attributes, links, devices, holes, and its diff ID."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import struct
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
import zstandard
from content.layer_tars import (
    END,
    TIME,
    file,
    folder,
    hardlink,
    header,
    layer,
    named,
    names,
    opaque,
    pax,
    symlink,
    tree,
    whiteout,
)
from servers import must

from dockyard.content.unpack import Applied, Limits, apply_layer
from dockyard.errors import ArchiveInvalid

CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
"""``cap_net_bind_service=ep``, as the kernel keeps it."""


def unpack(target: Path, content: bytes, **more: object) -> Applied:
    target.mkdir(exist_ok=True)
    blob = target.with_name(target.name + ".blob")
    blob.write_bytes(content)
    return apply_layer(blob, target, **({"whiteouts": "overlay"} | more))  # type: ignore[arg-type]


def test_modes_owners_and_kinds_are_kept(tmp_path: Path) -> None:
    applied = unpack(
        tmp_path / "fs",
        layer(
            folder("usr", 0o755),
            folder("usr/private", 0o700, uid=7, gid=8),
            folder("tmp", 0o1777),
            folder("shared", 0o2775, gid=50),
            file("usr/tool", "#!", mode=0o755),
            file("usr/su", "s", mode=0o4755, uid=0),
            file("usr/mail", "m", mode=0o2755, uid=3, gid=8),
            file("shared/by-group", "x", mode=0o640, uid=1000, gid=1000),
            file("none", "x", mode=0),
            symlink("link", "/etc/passwd", uid=5, gid=6),
            hardlink("usr/again", "usr/su", mode=0o4755),
            header("pipe", b"6", mode=0o622),
            header("null", b"3", mode=0o666, device=(1, 3)),
            header("disk", b"4", mode=0o660, gid=6, device=(8, 1)),
        ),
    )

    assert tree(tmp_path / "fs") == [
        "block 660 0:6 disk 8:1",
        "link 777 5:6 link -> /etc/passwd",
        "file 0 0:0 none x",
        "char 666 0:0 null 1:3",
        "pipe 622 0:0 pipe",
        "folder 2775 0:50 shared",
        "file 640 1000:1000 shared/by-group x",
        "folder 1777 0:0 tmp",
        "folder 755 0:0 usr",
        "file 4755 0:0 usr/again s",
        "file 2755 3:8 usr/mail m",
        "folder 700 7:8 usr/private",
        "file 4755 0:0 usr/su s",
        "file 755 0:0 usr/tool #!",
    ]
    assert (tmp_path / "fs/usr/su").stat().st_ino == (tmp_path / "fs/usr/again").stat().st_ino
    assert applied.entries == 14 and applied.notices == ()


def test_times_are_kept_to_the_nanosecond_also_of_folders_that_were_filled_later(tmp_path: Path) -> None:
    late = {"mtime": "1234567890.123456789"}
    unpack(
        tmp_path / "fs",
        layer(
            pax(late) + folder("deep"),
            folder("deep/er", mtime=77),
            pax({"mtime": "-1.5"}) + file("deep/er/old", "x"),
            pax(late) + symlink("deep/er/link", "old"),
            pax({"mtime": "12"}) + header("deep/pipe", b"6"),
            file("before", "x", mtime=-3),
            file("deep/file", "x"),
            pax({"mtime": "99999999999999"}) + file("never", "x"),
            folder(".", mtime=55),
        ),
    )
    times = {
        name: (tmp_path / "fs" / name).lstat().st_mtime_ns
        for name in ("deep", "deep/er", "deep/er/old", "deep/er/link", "deep/pipe", "before", "deep/file", "never", ".")
    }

    assert times == {
        "deep": 1234567890123456789, "deep/er": 77 * 10**9, "deep/er/old": -1_500_000_000,
        "deep/er/link": 1234567890123456789, "deep/pipe": 12 * 10**9, "before": -3 * 10**9,
        "deep/file": TIME * 10**9, "never": 0, ".": 55 * 10**9,
    }  # fmt: skip


def test_attributes_and_capabilities_are_kept(tmp_path: Path) -> None:
    unpack(
        tmp_path / "fs",
        layer(
            file("ping", "x", mode=0o755, uid=1, xattrs={"security.capability": CAPABILITY, "user.odd": b"a=b\n\0c"}),
            hardlink("pong", "ping", mode=0o755, uid=1),
            folder("box", xattrs={"user.kept": b"yes"}),
        ),
    )

    assert os.getxattr(tmp_path / "fs/pong", "security.capability") == CAPABILITY
    assert os.getxattr(tmp_path / "fs/ping", "user.odd") == b"a=b\n\0c"
    assert os.getxattr(tmp_path / "fs/box", "user.kept") == b"yes"
    assert "cap_net_bind_service=ep" in must("getcap", str(tmp_path / "fs/ping"))


def test_default_access_lists_are_kept_and_not_given_on_to_what_is_unpacked_into_them(tmp_path: Path) -> None:
    entries = ((1, 7, 2**32 - 1), (2, 7, 1000), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 5, 2**32 - 1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    unpack(
        tmp_path / "fs", layer(folder("d", xattrs={"system.posix_acl_default": acl}), file("d/f", "x"), folder("d/e"))
    )

    assert os.getxattr(tmp_path / "fs/d", "system.posix_acl_default") == acl
    assert os.listxattr(tmp_path / "fs/d/f") == os.listxattr(tmp_path / "fs/d/e") == []


def test_attributes_that_overlayfs_believes_are_left_out_with_a_notice(tmp_path: Path) -> None:
    applied = unpack(
        tmp_path / "fs",
        layer(
            folder("a", xattrs={"trusted.overlay.opaque": b"y", "user.overlay.redirect": b"/etc"}),
            file("b", "x", xattrs={"trusted.overlay.metacopy": b"", "no.such": b"1"}),
            header("c", b"3", device=(0, 0)),
        ),
    )

    assert tree(tmp_path / "fs") == ["folder 755 0:0 a", "file 644 0:0 b x"]
    assert os.listxattr(tmp_path / "fs/a") == os.listxattr(tmp_path / "fs/b") == []
    assert len(applied.notices) == 5 and "'no.such' of 'b' is not kept" in applied.notices[3]


def test_an_entry_replaces_what_had_its_name_and_a_folder_in_a_files_place_hides_what_is_below(tmp_path: Path) -> None:
    unpack(
        tmp_path / "fs",
        layer(
            file("a", "1"), folder("a"), file("a/in", "2"), file("a", "3", mode=0o600),
            file("b", "1"), folder("b"),
            folder("c"), file("c/in", "x"), symlink("c", "b"), folder("c"),
            file("d", "1"), symlink("d", "a"), file("d", "2"),
            folder("e", 0o700), file("e/stays", "x"), folder("e", 0o711),
            file("f", "file"), file("f/in", "its parent was a file"),
        ),
    )  # fmt: skip

    assert tree(tmp_path / "fs") == [
        "file 600 0:0 a 3",
        "folder 755 0:0 b opaque",
        "folder 755 0:0 c opaque",
        "file 644 0:0 d 2",
        "folder 711 0:0 e",
        "file 644 0:0 e/stays x",
        "folder 755 0:0 f opaque",
        "file 644 0:0 f/in its parent was a file",
    ]


def test_folders_that_no_member_describes_are_roots_and_have_the_time_of_what_is_in_them(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        unpack(tmp_path / "fs", layer(file("a/b/c", "x", uid=9, mtime=5)))
    finally:
        os.umask(before)

    assert tree(tmp_path / "fs") == ["folder 755 0:0 a", "folder 755 0:0 a/b", "file 644 9:0 a/b/c x"]
    assert (tmp_path / "fs/a").stat().st_mtime == 5
    assert stat.S_IMODE((tmp_path / "fs").stat().st_mode) == 0o755


def test_folders_that_only_lower_layers_describe_are_as_they_say(tmp_path: Path) -> None:
    low, middle, top = tmp_path / "low", tmp_path / "middle", tmp_path / "top"
    unpack(low, layer(
        folder(".", 0o711, mtime=9), folder("tmp", 0o1777, mtime=3, xattrs={"user.a": b"b"}), folder("gone", 0o700),
        folder("link", 0o700), folder("opaque", 0o711), folder("opaque/in", 0o711), folder("new", 0o700, uid=4),
    ))  # fmt: skip
    unpack(middle, layer(whiteout("gone"), symlink("link", "tmp"), opaque("opaque")), lowers=[low])
    unpack(
        top,
        layer(*(file(f"{name}/f", "x") for name in ("tmp", "gone", "link", "opaque/in", "none/such")), file("new", "f"),
              file("new/f")),
        lowers=[low, middle],
    )  # fmt: skip

    assert [line for line in tree(top) if line.startswith("folder")] == [
        "folder 755 0:0 gone",
        "folder 755 0:0 link",
        "folder 755 0:0 new opaque",
        "folder 755 0:0 none",
        "folder 755 0:0 none/such",
        "folder 711 0:0 opaque",
        "folder 755 0:0 opaque/in",
        "folder 1777 0:0 tmp",
    ]
    assert (top / "tmp").stat().st_mtime == 3 and os.getxattr(top / "tmp", "user.a") == b"b"
    assert stat.S_IMODE(top.stat().st_mode) == 0o711 and top.stat().st_mtime == 9


@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
def test_holes_of_every_form_stay_holes(tmp_path: Path, form: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "sparse").open("wb") as out:
        for part in range(40):  # more than one header has room for
            out.seek(part * 300_000)
            out.write(b"data %d" % part)
        out.truncate(40 * 300_000)
    (source / "empty").write_bytes(b"")
    os.truncate(source / "empty", 1_000_000)
    (source / "after").write_text("after")
    how = ["--format=gnu"] if form == "gnu" else ["--format=pax", f"--sparse-version={form}"]
    must("tar", "-C", str(source), *how, "-S", "-cf", str(tmp_path / "tar"), "sparse", "empty", "after")
    unpack(tmp_path / "fs", (tmp_path / "tar").read_bytes())
    made = tmp_path / "fs/sparse"

    assert sorted(os.listdir(tmp_path / "fs")) == ["after", "empty", "sparse"]
    assert made.read_bytes() == (source / "sparse").read_bytes()
    assert made.stat().st_blocks * 512 < 1_000_000
    assert (tmp_path / "fs/empty").stat().st_size == 1_000_000 and (tmp_path / "fs/empty").stat().st_blocks == 0
    assert (tmp_path / "fs/after").read_text() == "after"


def test_a_layer_is_read_plain_gzip_of_many_members_and_zstd_with_skippable_frames(tmp_path: Path) -> None:
    plain = layer(*(file(f"f{n}", bytes([n]) * 5000) for n in range(50)))
    half = len(plain) // 2
    skippable = struct.pack("<II", 0x184D2A53, 5) + b"table"
    zstd = zstandard.ZstdCompressor()
    forms = {
        "plain": plain,
        "gzip": gzip.compress(plain[:half]) + gzip.compress(b"") + gzip.compress(plain[half:]),
        "zstd": skippable + zstd.compress(plain[:half]) + skippable + zstd.compress(plain[half:]) + skippable,
    }
    for form, content in forms.items():
        applied = unpack(tmp_path / form, content)

        assert applied.diff_id.hex == hashlib.sha256(plain).hexdigest()
        assert applied.size == len(plain)
        assert tree(tmp_path / form) == tree(tmp_path / "plain")


@pytest.mark.parametrize("more", [b"", b"garbage", bytes(10_000), bytes(3_000_000) + b"x", file("hidden", "x") + END])
def test_the_diff_id_is_that_of_all_bytes_and_nothing_after_the_end_is_unpacked(tmp_path: Path, more: bytes) -> None:
    plain = layer(file("seen", "x")) + more
    applied = unpack(tmp_path / "fs", gzip.compress(plain))

    assert applied.diff_id.hex == hashlib.sha256(plain).hexdigest()
    assert names(tmp_path / "fs") == ["seen x"]


@pytest.mark.parametrize("content", [b"", END, bytes(512), gzip.compress(b"", mtime=0), zstandard.compress(b"")])
def test_an_empty_layer_has_no_files(tmp_path: Path, content: bytes) -> None:
    assert unpack(tmp_path / "fs", content).entries == 0
    assert tree(tmp_path / "fs") == []


def test_what_tarfile_writes_in_every_format_is_unpacked(tmp_path: Path) -> None:
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name in ("d" * 60 + "/" + "f" * 90, "größe", "a b"):
                member = tarfile.TarInfo(name)
                member.size = 3
                archive.addfile(member, io.BytesIO(b"abc"))
        unpack(tmp_path / str(form), out.getvalue())
        long = "d" * 60

        assert names(tmp_path / str(form)) == ["a b abc", f"{long}/", f"{long}/{'f' * 90} abc", "größe abc"]


def test_names_that_are_not_text_are_kept(tmp_path: Path) -> None:
    unpack(tmp_path / "fs", layer(header(b"caf\xe9") + header("l\N{SNOWMAN}\n", b"2", link=b"\xff\xfe")))

    assert sorted(os.listdir(os.fsencode(tmp_path / "fs"))) == [b"caf\xe9", "l\N{SNOWMAN}\n".encode()]
    assert os.readlink(os.fsencode(tmp_path / "fs") + "/l\N{SNOWMAN}\n".encode()) == b"\xff\xfe"


@pytest.mark.parametrize("kind", [b"D", b"M", b"V", b"N", b"Z", b"\xff"])
def test_members_of_kinds_that_no_layer_has_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(ArchiveInvalid, match="unknown type"):
        unpack(tmp_path / "fs", layer(named("odd", kind)))


@pytest.mark.parametrize(
    "member",
    [
        file("f", uid=2**31), file("f", uid=2**32), file("f", gid=2**32 - 1), file("f", uid=-1), file("f", gid=-1),
        pax({"uid": str(2**31)}) + file("f"), pax({"uid": "-1"}) + file("f"), pax({"gid": "0x0"}) + file("f"),
        pax({"uid": str(2**64)}) + file("f"), file("f", uid=b"99"), folder("f", uid=2**31),
        symlink("f", "x", gid=2**40),
    ],
)  # fmt: skip
def test_owners_that_other_programs_would_take_for_somebody_else_are_refused(tmp_path: Path, member: bytes) -> None:
    with pytest.raises(ArchiveInvalid, match=r"(?:user|group) id"):
        unpack(tmp_path / "fs", layer(member))

    assert tree(tmp_path / "fs") == []


def test_the_largest_owner_is_kept(tmp_path: Path) -> None:
    unpack(tmp_path / "fs", layer(file("f", uid=2**31 - 1, gid=2**31 - 1)))

    assert tree(tmp_path / "fs") == ["file 644 2147483647:2147483647 f"]


@pytest.mark.slow
def test_a_tree_of_this_machine_comes_out_as_it_went_in(tmp_path: Path) -> None:
    must(
        "tar",
        "-C",
        "/",
        "--xattrs",
        "--format=pax",
        "--sort=name",
        "-cf",
        str(tmp_path / "tar"),
        "usr/share/perl",
        "usr/bin",
    )
    (tmp_path / "fs").mkdir()
    apply_layer(tmp_path / "tar", tmp_path / "fs", whiteouts="overlay")
    differences = subprocess.run(
        ["tar", "-C", str(tmp_path / "fs"), "--xattrs", "-df", str(tmp_path / "tar")], capture_output=True, text=True
    )

    assert (differences.returncode, differences.stdout) == (0, "")


@pytest.mark.alone
def test_twenty_thousand_files_take_seconds(tmp_path: Path) -> None:
    parts = [folder(f"d{n}") for n in range(200)]
    parts += [file(f"d{n % 200}/f{n}", b"x" * (n % 3000)) for n in range(20_000)]
    (tmp_path / "blob").write_bytes(gzip.compress(layer(*parts), 1))
    (tmp_path / "fs").mkdir()
    begun = time.monotonic()
    applied = apply_layer(tmp_path / "blob", tmp_path / "fs", whiteouts="overlay", limits=Limits(entries=20_200))

    assert applied.entries == 20_200
    assert time.monotonic() - begun < 10
