"""Files with holes in a tar: which parts are stored. GNU's old form, and its pax forms 0.0, 0.1 and 1.0.

Source: the GNU tar manual, "Storing Sparse Files". Refused is what Go's ``archive/tar`` refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.content.tar_headers import BLOCK, MAX_SIZE, is_gnu, number
from dockyard.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_PARTS = 100_000
"""Parts between holes; more is an attack on memory."""
_DIGITS = 18

Part = tuple[int, int]


def old_map(block: bytes, next_block: Callable[[], bytes], what: str) -> tuple[list[Part], int]:
    """The parts and the full size of a file of type ``S``; its map goes on in blocks after the header."""
    if not is_gnu(block):
        raise ArchiveInvalid(f"{what} has a broken map of holes")
    full_size = number(block[483:495], "size", what)
    parts: list[Part] = []
    fields, more = block[386:482], block[482]
    while True:
        for at in range(0, len(fields), 24):
            if not fields[at]:
                break
            parts.append((number(fields[at : at + 12], "map", what), number(fields[at + 12 : at + 24], "map", what)))
        if not more:
            return parts, full_size
        if len(parts) > MAX_PARTS or not parts:
            raise _too_many(what)
        following = next_block()
        fields, more = following[:504], following[504]
        if not fields[0]:
            raise ArchiveInvalid(f"{what} has a broken map of holes")


def pax_form(records: Mapping[str, str]) -> str:
    """Which of the pax forms a member has: ``1.0``, ``0.1`` (also for 0.0), or none."""
    major, minor = records.get("GNU.sparse.major", ""), records.get("GNU.sparse.minor", "")
    if (major, minor) == ("1", "0"):
        return "1.0"
    if major == "0" and minor in ("0", "1"):
        return "0.1"
    return "0.1" if not major and not minor and records.get("GNU.sparse.map") else ""


def full_size(records: Mapping[str, str], size: int, what: str) -> int:
    """The size with the holes, which two records may tell."""
    stated = records.get("GNU.sparse.size") or records.get("GNU.sparse.realsize")
    return _number(stated, what) if stated else size


def listed_map(records: Mapping[str, str], what: str) -> list[Part]:
    """The parts from a pax header."""
    written = records.get("GNU.sparse.map", "")
    numbers = written.split(",", 2 * MAX_PARTS + 1) if written else []
    if len(numbers) > 2 * MAX_PARTS:
        raise _too_many(what)
    count = records.get("GNU.sparse.numblocks")
    if len(numbers) % 2 or (count and _number(count, what) != len(numbers) // 2):
        raise ArchiveInvalid(f"{what} has a broken map of holes")
    found = [_number(digits, what) for digits in numbers]
    return list(zip(found[::2], found[1::2], strict=True))


def leading_map(next_block: Callable[[], bytes], what: str) -> tuple[list[Part], int]:
    """The parts that stand before the content, a number a line; also how many bytes the map takes."""
    raw, taken = b"", 0
    numbers: list[int] = []
    wanted = 1
    while len(numbers) < wanted:
        line, newline, rest = raw.partition(b"\n")
        if not newline:
            if len(raw) > _DIGITS:
                raise ArchiveInvalid(f"{what} has a broken map of holes")
            raw, taken = raw + next_block(), taken + BLOCK
            continue
        raw = rest
        numbers.append(_number(line.decode("latin-1"), what))
        if len(numbers) == 1:
            wanted += 2 * numbers[0]
            if numbers[0] > MAX_PARTS:
                raise _too_many(what)
    return list(zip(numbers[1::2], numbers[2::2], strict=True)), taken


def check_map(parts: list[Part], full: int, stored: int, what: str) -> None:
    """ArchiveInvalid unless the parts are in order, inside the file, and as long as what is stored."""
    end = 0
    for offset, length in parts:
        if offset < end or offset + length > full:
            raise ArchiveInvalid(f"{what} has a broken map of holes")
        end = offset + length
    if full > MAX_SIZE or sum(length for _, length in parts) != stored:
        raise ArchiveInvalid(f"{what} has a broken map of holes")


def _number(digits: str, what: str) -> int:
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > _DIGITS:
        raise ArchiveInvalid(f"{what} has a broken map of holes")
    return int(digits)


def _too_many(what: str) -> ArchiveInvalid:
    return ArchiveInvalid(f"{what} has a file with more than {MAX_PARTS} parts between holes")
