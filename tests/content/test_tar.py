"""Tar headers from strangers: what is read is what GNU tar and Go read, what is not read is refused in time."""

from __future__ import annotations

import io
import struct
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import must

from dockyard.content.tar import Kind, Member, climbs_out, members, normal
from dockyard.errors import ArchiveInvalid


def read(data: bytes, **more: int) -> list[Member]:
    return list(members(io.BytesIO(data), **more))


def header(
    name: bytes = b"file", *, size: bytes = b"00000000000\0", kind: bytes = b"0", magic: bytes = b"ustar\x0000"
) -> bytes:
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136], block[136:148] = size, b"00000000000\0"
    block[156:157], block[257:265] = kind, magic
    return summed(block)


def summed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(*records: tuple[str, str], kind: bytes = b"x") -> bytes:
    body = b""
    for key, value in records:
        text = f" {key}={value}\n".encode()
        length = len(text)
        while length != len(text) + len(str(length)):
            length = len(text) + len(str(length))
        body += str(length).encode() + text
    return header(b"pax", size=b"%011o\0" % len(body), kind=kind) + body + bytes(-len(body) % 512)


END = bytes(1024)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_links_and_sizes_are_read_in_every_format(form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in (("a", b"x" * 513), ("deep/" * 15 + "file", b""), ("b" * 90, b"y")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        link, hard, fifo = tarfile.TarInfo("link"), tarfile.TarInfo("hard"), tarfile.TarInfo("fifo")
        link.type, link.linkname = tarfile.SYMTYPE, "../target"
        hard.type, hard.linkname = tarfile.LNKTYPE, "a"
        fifo.type = tarfile.FIFOTYPE
        for other in (folder, link, hard, fifo):
            archive.addfile(other)
    found = read(out.getvalue())

    assert [(m.name.rstrip("/"), m.kind, m.size, m.link) for m in found] == [
        ("a", Kind.FILE, 513, ""),
        ("deep/" * 15 + "file", Kind.FILE, 0, ""),
        ("b" * 90, Kind.FILE, 1, ""),
        ("folder", Kind.FOLDER, 0, ""),
        ("link", Kind.SYMLINK, 0, "../target"),
        ("hard", Kind.HARDLINK, 0, "a"),
        ("fifo", Kind.SPECIAL, 0, ""),
    ]
    assert out.getvalue()[found[0].offset : found[0].offset + 513] == b"x" * 513


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_names_that_are_not_ascii_are_read(form: int) -> None:
    long, accents = "d/" * 200 + "x", "größe/naïve"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name in (long, accents):
            archive.addfile(tarfile.TarInfo(name))

    assert [member.name for member in read(out.getvalue())] == [long, accents]


def test_a_sparse_file_of_gnu_tar_is_stepped_over(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        for number in range(60):  # more holes than one header has room for
            file.seek(number * 200_000)
            file.write(b"data")
    (tmp_path / "after").write_text("after")
    for form in ("gnu", "pax"):
        must("tar", "-C", str(tmp_path), f"--format={form}", "-S", "-cf", str(tmp_path / "a.tar"), "sparse", "after")
        found = read((tmp_path / "a.tar").read_bytes())

        assert len(found) == 2
        assert found[1].name == "after" and found[1].size == 5


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a tar"),
        (b"hello", "not a tar"),
        (b"x" * 2048, "not a tar"),
        (header(size=b"00000001000\0") + b"short", "cut short: it ends in the middle of 'file'"),
        (header() + b"garbage", "cut short"),
        (header() + b"g" * 512, "no valid header"),
        (header(size=b"\xff" * 12) + END, "negative size"),
        (header(size=b"\xc0" + bytes(11)) + END, "negative size"),
        (header(size=b"\x80" + b"\x7f" * 11) + END, "impossible size"),
        (header(size=b"-0000000010\0") + END, "no number"),
        (header(size=b"0000000008x\0") + END, "no number"),
        (header(kind=b"L", size=b"77777777777\0") + END, "at most 1048576"),
        (header(kind=b"x", size=b"77777777777\0") + END, "at most 1048576"),
        (header(kind=b"L", size=b"00000000100\0") + b"n" * 512 + END, "in the middle of a header"),
        (pax(("size", "-1")) + header() + END, "size that is no number"),
        (pax(("size", "9" * 30)) + header() + END, "size that is no number"),
        (pax(("size", "\u0661")) + header() + END, "size that is no number"),
        (pax(("path", "a\0b")) + header() + END, "zero byte"),
        (header(kind=b"x", size=b"00000000006\0") + b"6 a=b\n" + bytes(506) + header() + END, None),
        (header(kind=b"x", size=b"00000000006\0") + b"9 a=b\n" + bytes(506) + header() + END, "broken pax"),
        (header(kind=b"x", size=b"00000000006\0") + b"nonsen" + bytes(506) + header() + END, "broken pax"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(data: bytes, says: str | None) -> None:
    if says is None:
        assert len(read(data)) == 1
        return
    with pytest.raises(ArchiveInvalid) as refused:
        read(data)

    assert says in refused.value.message


def test_a_pax_size_counts_as_it_does_in_go() -> None:
    data = pax(("size", "5")) + header(size=b"00000001000\0") + b"12345" + bytes(507) + header(b"next") + END

    assert [(member.name, member.size) for member in read(data)] == [("file", 5), ("next", 0)]


def test_a_size_of_eight_gigabytes_and_more_is_read_from_base_256() -> None:
    size = 20 << 30
    field = b"\x80" + bytes(3) + struct.pack(">Q", size)
    stream = io.BytesIO(header(size=field))

    assert next(members(stream)).size == size


def test_members_are_counted() -> None:
    data = header() * 11 + END

    assert len(read(data, limit=11)) == 11
    with pytest.raises(ArchiveInvalid, match="more than 10 members"):
        read(data, limit=10)


def test_a_folder_with_a_size_has_no_content() -> None:
    data = header(b"d/", kind=b"5", size=b"00000000020\0") + header(b"f") + END

    assert [member.name for member in read(data)] == ["d/", "f"]


def test_an_archive_without_its_closing_zeros_is_whole() -> None:
    assert len(read(header() + header())) == 2


def test_what_follows_the_end_is_not_read() -> None:
    assert len(read(header() + END + header(b"hidden"))) == 1


@pytest.mark.parametrize(
    ("name", "climbs"),
    [
        ("a/b", False), ("/etc/passwd", False), ("./a", False), ("a/../b", False), ("..a/...", False),
        ("..", True), ("../x", True), ("a/../../x", True), ("/../x", True), ("./../x", True), ("a/b/../../../x", True),
    ],
)  # fmt: skip
def test_names_that_climb_out_are_told_from_those_that_do_not(name: str, climbs: bool) -> None:
    assert climbs_out(name) is climbs
    if climbs:
        with pytest.raises(ArchiveInvalid, match="climbs out"):
            normal(name)


def test_a_normal_name_is_the_same_for_every_spelling() -> None:
    assert {normal(name) for name in ("a/b", "./a/b", "/a//b", "a/./b/", "a/c/../b")} == {"a/b"}


@settings(max_examples=300, deadline=None)
@given(noise=st.lists(st.tuples(st.integers(0, 1535), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_headers_are_read_or_refused_quickly(noise: list[tuple[int, int]]) -> None:
    data = bytearray(pax(("path", "name")) + header(size=b"00000000005\0") + b"12345" + bytes(507) + END)
    for position, value in noise:
        data[position] = value
    for start in (0, 1024):
        block = data[start : start + 512]
        data[start : start + 512] = summed(bytearray(block))
    begun = time.monotonic()
    try:
        found = read(bytes(data))
    except ArchiveInvalid:
        found = []

    assert time.monotonic() - begun < 5
    assert all(0 <= member.size < 2**57 for member in found)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text("ab/.é", min_size=1, max_size=150), st.binary(max_size=1500)), max_size=6))
def test_what_tarfile_writes_is_read_back(files: list[tuple[str, bytes]]) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = out.getvalue()
    found = [(member.name, data[member.offset : member.offset + member.size]) for member in read(data)]

    assert found == files
