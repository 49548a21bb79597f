"""What tar headers say of owners, times, devices, attributes and holes; where tar programs disagree, as Go reads."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from content.layer_tars import END, file, header, number, padded, pax, summed

from dockyard.content.tar import Kind, Member, TarReader, members
from dockyard.errors import ArchiveInvalid


def read(*parts: bytes) -> list[Member]:
    return list(members(io.BytesIO(b"".join(parts) + END)))


def one(*parts: bytes) -> Member:
    (found,) = read(*parts)
    return found


def test_the_fields_of_a_header_are_read() -> None:
    found = one(header("n", b"3", mode=0o104755, uid=7, gid=8, mtime=9, device=(10, 300)))

    assert (found.mode, found.uid, found.gid, found.mtime) == (0o4755, 7, 8, 9 * 10**9)
    assert (found.kind, found.type, found.device) == (Kind.SPECIAL, b"3", (10, 300))


@pytest.mark.parametrize(
    ("field", "value"),
    [(b"0000017\0", 15), (b"     17\0", 15), (b"17 \0\0\0\0\0", 15), (b"\0\0\0  17\0", 15), (b"17\0junk!", 15),
     (b"\x80\0\0\0\0\0\0\x0f", 15), (b"\x80\0\0\0\x7f\xff\xff\xff", 2**31 - 1), (bytes(8), 0), (b" " * 8, 0)],
)  # fmt: skip
def test_numbers_are_read_in_every_spelling_that_go_reads(field: bytes, value: int) -> None:
    assert one(header("f", uid=field)).uid == value


@pytest.mark.parametrize(
    "field", [b"0000018\0", b"-000017\0", b"0x17\0\0\0\0", b"1 7\0\0\0\0\0", b"\xff" * 8, b"\xc0" + bytes(7)]
)
def test_what_is_no_number_is_refused(field: bytes) -> None:
    with pytest.raises(ArchiveInvalid):
        one(header("f", uid=field))


@pytest.mark.parametrize(
    ("written", "nanoseconds"),
    [("1", 10**9), ("1.5", 1_500_000_000), ("-1.25", -1_250_000_000), ("0.123456789", 123456789), ("1.", 10**9),
     ("1.12345678999", 1_123_456_789), ("-0.5", -500_000_000), ("9" * 15, 0), ("-" + "9" * 15, 0)],
)  # fmt: skip
def test_times_are_read_to_the_nanosecond(written: str, nanoseconds: int) -> None:
    assert one(pax({"mtime": written}), header("f")).mtime == nanoseconds


@pytest.mark.parametrize("written", ["", "x", "1e3", "1,5", ".5", "--1", "1.5.5", "+1", "\u0661", "1.-5"])
def test_times_that_are_none_are_refused(written: str) -> None:
    with pytest.raises(ArchiveInvalid, match="time that is no number"):
        one(pax({"mtime": written}), header("f"))


def test_times_before_1970_are_read_from_base_256() -> None:
    assert one(header("f", mtime=-3)).mtime == -3 * 10**9


def test_attributes_are_bytes_and_keep_equal_signs_newlines_and_zeros() -> None:
    found = one(pax({"SCHILY.xattr.user.a": b"1=2\n\0\xff", "SCHILY.xattr.security.capability": b""}), header("f"))

    assert dict(found.xattrs) == {"user.a": b"1=2\n\0\xff", "security.capability": b""}


def test_extended_headers_belong_to_one_member_and_the_last_of_several_counts() -> None:
    found = read(pax({"path": "first", "uid": "5"}), pax({"path": "second"}), header("x"), header("y"))

    assert [(member.name, member.uid) for member in found] == [("second", 0), ("y", 0)]


def test_headers_about_all_members_are_read_and_not_believed() -> None:
    found = read(pax({"path": "all", "uid": "5", "size": "512"}, kind=b"g"), file("f", "x"), header("g"))

    assert [(member.name, member.uid, member.size) for member in found] == [("f", 0, 1), ("g", 0, 0)]
    with pytest.raises(ArchiveInvalid, match="broken pax"):
        read(header("g", b"g", size=6), padded(b"nonsen"), header("f"))


def test_gnus_long_names_win_over_pax_records_whatever_comes_first() -> None:
    gnu = header("L", b"L", size=4) + padded(b"long") + header("K", b"K", size=6) + padded(b"target")
    for parts in ((gnu, pax({"path": "pax", "linkpath": "pax"})), (pax({"path": "pax", "linkpath": "pax"}), gnu)):
        found = one(*parts, header("n", b"2", link="l"))

        assert (found.name, found.link) == ("long", "target")


def test_an_empty_record_leaves_what_the_header_says() -> None:
    found = one(
        pax({"path": "", "linkpath": "", "uid": "", "SCHILY.xattr.user.e": ""}), header("n", b"1", link="l", uid=4)
    )

    assert (found.name, found.link, found.uid) == ("n", "l", 4)


def test_a_prefix_is_read_from_ustar_and_star_and_not_from_gnu_and_old_headers() -> None:
    assert one(header("n", prefix=b"some/where")).name == "some/where/n"
    assert one(header("n", prefix=b"p" * 131 + b"00000000001\x00" * 2, raw={508: b"tar\0"})).name == "p" * 131 + "/n"
    assert one(header("n", magic=b"ustar  \0", prefix=b"00000000017")).name == "n"
    assert one(header("n", magic=bytes(8), prefix=b"junk")).name == "n"


@pytest.mark.parametrize(
    "parts",
    [
        (header("f"), bytes(512), header("g")),
        (pax({"path": "f"}),),
        (pax({"a": "b"}) * 70, header("f")),
        (header("f", b"S"),),
        (header("f", b"S", magic=b"ustar  \0", size=512, raw={386: number(0, 12) + number(600, 12)}), bytes(512)),
        (pax({"GNU.sparse.map": "0,1"}), header("f", b"5")),
        (pax([("GNU.sparse.numbytes", "1"), ("GNU.sparse.offset", "0")]), header("f")),
        (pax([("GNU.sparse.offset", "0"), ("GNU.sparse.offset", "0")]), header("f")),
        (pax([("GNU.sparse.offset", "0,1"), ("GNU.sparse.numbytes", "1")]), header("f")),
        (pax({"GNU.sparse.map": "0,1,2", "GNU.sparse.size": "9"}), header("f", size=1), padded(b"x")),
        (pax({"GNU.sparse.map": "0,1", "GNU.sparse.size": "9", "GNU.sparse.numblocks": "2"}), file("f", "x")),
        (pax({"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"}), header("f", size=2), padded(b"xx")),
        (pax({"GNU.sparse.name": "a\0b", "GNU.sparse.map": "0,1"}), header("f", size=1), padded(b"x")),
    ],
)  # fmt: skip
def test_what_go_refuses_is_refused(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(ArchiveInvalid):
        read(*parts)


def test_the_name_of_a_file_with_holes_is_that_of_its_records() -> None:
    records = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "real",
        "GNU.sparse.realsize": "5000",
    }
    found = read(
        pax(records), header("GNUSparseFile.0/real", size=1024), padded(b"1\n4488\n512\n"), b"x" * 512, header("n")
    )

    assert [member.name for member in found] == ["real", "n"]
    assert (found[0].size, found[0].holes, found[0].full_size) == (512, [(4488, 512)], 5000)
    assert found[0].offset == 512 + 512 + 512 + 512


def test_forms_of_holes_that_nobody_knows_are_plain_files() -> None:
    found = one(pax({"GNU.sparse.major": "2", "GNU.sparse.minor": "0"}), header("f", size=3), padded(b"abc"))

    assert (found.size, found.holes) == (3, None)


def test_content_is_read_in_pieces_and_skipped_where_it_is_not() -> None:
    reader = TarReader(io.BytesIO(file("a", b"a" * 1000) + file("b", b"b" * 1000) + file("c", b"c") + END))
    first = reader.next()
    some = reader.read(300) + reader.read(10_000) + reader.read()
    second, piece, third = reader.next(), reader.read(1), reader.next()

    assert [member.name for member in (first, second, third) if member] == ["a", "b", "c"]
    assert (some, piece) == (b"a" * 1000, b"b")
    assert reader.read() == b"c" and reader.next() is None


def archives() -> dict[str, bytes]:
    """Archives with two readings, of which GNU tar has the same one."""
    return {
        "size in pax": pax({"size": "5"}) + header("a", size=1000) + padded(b"12345") + file("b", "x"),
        "one name twice": file("a", "1") + file("a", "2") + file("b"),
        "after the end": file("a", "1") + END + file("hidden"),
        "long link": pax({"linkpath": "t" * 200}) + header("a", b"2", link="short"),
        "gnu": header("L", b"L", size=150) + padded(b"n" * 150) + header("a") + file("b"),
        "old folder": header("d/", b"\0", magic=bytes(8)) + header("f", b"\0", magic=bytes(8)),
        "prefix": header("n", prefix=b"some/where") + file("b"),
        "base 256": header("a", size=b"\x80" + bytes(10) + b"\x03") + padded(b"abc") + file("b"),
        "signed sum": signed(header(b"caf\xe9")) + file("b"),
        "no end": file("a", "1") + file("b", "2"),
    }


def signed(block: bytes) -> bytes:
    """With the sum that programs made whose bytes have signs."""
    made = bytearray(summed(block))
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(byte - 256 if byte > 127 else byte for byte in made)
    return bytes(made)


@pytest.mark.parametrize("name", archives())
def test_names_and_sizes_are_those_that_gnu_tar_lists(tmp_path: Path, name: str) -> None:
    content = archives()[name]
    (tmp_path / "a.tar").write_bytes(content if name == "no end" else content + END)
    # Bytes that are no text are printed as they are.
    listed = subprocess.run(
        ["tar", "--quoting-style=literal", "-tvf", tmp_path / "a.tar"], check=True, capture_output=True,
        encoding="utf-8", errors="surrogateescape", env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
    ).stdout  # fmt: skip
    expected = [line.split(maxsplit=5) for line in listed.splitlines()]
    with (tmp_path / "a.tar").open("rb") as archive:
        ours = list(members(archive))

    assert [member.name for member in ours] == [words[5].partition(" -> ")[0] for words in expected]
    assert [member.size for member in ours] == [int(words[2]) for words in expected]


def test_a_pipe_with_a_size_has_no_content() -> None:
    assert [member.name for member in read(header("p", b"6", size=512), file("b"))] == ["p", "b"]


def test_what_python_writes_comes_back_with_all_its_fields() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("größe/" * 40)
        member.uid, member.gid, member.mode, member.mtime = 2_000_000_000, 12, 0o1777, 1234.5  # type: ignore[assignment]
        member.type, member.pax_headers = tarfile.DIRTYPE, {"SCHILY.xattr.user.x": "v"}
        archive.addfile(member)
    (found,) = members(io.BytesIO(out.getvalue()))

    assert (found.name, found.uid, found.gid, found.mode) == ("größe/" * 40, 2_000_000_000, 12, 0o1777)
    assert (found.mtime, found.kind, found.xattrs) == (1_234_500_000_000, Kind.FOLDER, {"user.x": b"v"})
