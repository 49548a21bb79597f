"""Windows layers, header by header as BuildKit's ``util/winlayers`` writes them."""

from __future__ import annotations

import io
import struct
import tarfile
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
from written_layers import file, folder, hardlink, symlink, write

if TYPE_CHECKING:
    from pathlib import Path

NS = 1_000_000_000
NOW = 1_700_000_000
# The security descriptors in base64: the administrators' and the system's, and what users may do.
FOLDER = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEf"
    "AAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQA"
    "AAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA"
)
FILE = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEf"
    "AAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA=="
)
ENTRIES: list[Any] = [
    folder("app", mtime=NOW * NS),
    file("app/run.exe", b"MZ", mode=0o755, mtime=NOW * NS + 123),
    hardlink("app/copy.exe", "app/run.exe", mtime=NOW * NS),
    symlink("app/link", "run.exe", mtime=NOW * NS),
    symlink("app/absolute", "/app/run.exe", mtime=NOW * NS),
    file("app/.wh.gone"),
]
CREATED = f"{NOW}.0"
# name, type flag, mode, size, link, time, pax records
GOLDEN = [
    ("Hives", b"5", 0o40000, 0, "", 77, {"LIBARCHIVE.creationtime": "77.0", "MSWINDOWS.fileattr": "16"}),
    ("Files", b"5", 0o40000, 0, "", 77, {"LIBARCHIVE.creationtime": "77.0", "MSWINDOWS.fileattr": "16"}),
    ("Files/app/", b"5", 0o40755, 0, "", NOW,
     {"LIBARCHIVE.creationtime": CREATED, "MSWINDOWS.fileattr": "16", "MSWINDOWS.rawsd": FOLDER}),
    ("Files/app/run.exe", b"0", 0o100755, 2, "", NOW,
     {"LIBARCHIVE.creationtime": CREATED, "MSWINDOWS.fileattr": "32", "MSWINDOWS.rawsd": FILE}),
    ("Files/app/copy.exe", b"1", 0o644, 0, "Files/app/run.exe", NOW, {"LIBARCHIVE.creationtime": CREATED}),
    ("Files/app/link", b"2", 0o777, 0, "Files/run.exe", NOW, {"LIBARCHIVE.creationtime": CREATED}),
    ("Files/app/absolute", b"2", 0o777, 0, "Files//app/run.exe", NOW, {"LIBARCHIVE.creationtime": CREATED}),
    ("Files/app/.wh.gone", b"0", 0o100000 | 0o644, 0, "", 0,
     {"LIBARCHIVE.creationtime": "0.0", "MSWINDOWS.fileattr": "32", "MSWINDOWS.rawsd": FILE}),
]  # fmt: skip


def headers(plain: bytes) -> list[tuple[Any, ...]]:
    """The headers of a tar, taken apart by hand."""
    found: list[tuple[Any, ...]] = []
    at, records = 0, dict[str, str]()
    while any(plain[at : at + 512]):
        name, mode, _, _, size, time, _, flag, link, magic = struct.unpack_from("100s8s8s8s12s12s8sc100s8s", plain, at)
        length = int(size.rstrip(b"\0"), 8)
        content = plain[at + 512 : at + 512 + length]
        at += 512 + length + -length % 512
        assert magic == b"ustar\x0000"
        if flag == b"x":
            lines = content.decode().splitlines()

            assert [int(line.split(" ")[0]) for line in lines] == [len(line) + 1 for line in lines]
            assert lines == sorted(lines, key=lambda line: line.split(" ")[1])
            records = dict(line.split(" ", 1)[1].split("=", 1) for line in lines)
            continue
        texts = [field.rstrip(b"\0").decode() for field in (name, link)]
        numbers = [int(field.rstrip(b"\0"), 8) for field in (mode, time)]
        found.append((texts[0], flag, numbers[0], length, texts[1], numbers[1], records))
        records = {}
    return found


def test_a_windows_layer_is_what_buildkit_writes_header_by_header(tmp_path: Path) -> None:
    made = write(tmp_path, ENTRIES, windows=True, implied=77)

    assert headers(made.plain) == GOLDEN


def test_all_times_follow_the_clamp(tmp_path: Path) -> None:
    made = write(tmp_path, ENTRIES, windows=True, implied=NOW, clamp=42)

    for name, *_, time, records in headers(made.plain):
        assert time == (0 if ".wh." in name else 42)
        assert records["LIBARCHIVE.creationtime"] == f"{time}.0"


def test_other_programs_read_it(tmp_path: Path) -> None:
    made = write(tmp_path, ENTRIES, windows=True)
    with tarfile.open(fileobj=io.BytesIO(made.plain)) as archive:
        reader = archive.extractfile("Files/app/copy.exe")

        assert reader and reader.read() == b"MZ"
        assert [member.name for member in archive] == [entry.path for entry in made.layer.index]


@pytest.mark.parametrize(("text", "entries"), [(FOLDER, 7), (FILE, 3)])
def test_a_security_descriptor_is_whole(text: str, entries: int) -> None:
    raw = b64decode(text)
    owner, group, _, rights = struct.unpack_from("<4I", raw, 4)
    _, size, count = struct.unpack_from("<HHH", raw, rights)

    assert (owner, group) == (20, 36)
    assert (count, rights + size) == (entries, len(raw))


def test_an_empty_windows_layer_has_its_two_folders(tmp_path: Path) -> None:
    made = write(tmp_path, [], windows=True)

    assert [member.name for member in made.members()] == ["Hives", "Files"]
