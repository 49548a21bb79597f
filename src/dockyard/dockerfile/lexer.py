"""A Dockerfile's text cut into statements: continuation lines joined, comments dropped, here-documents attached.

Source: docker's Dockerfile reference, "Format", "Here-Documents".
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dockyard.dockerfile.directives import DEFAULT_ESCAPE, read_directives
from dockyard.dockerfile.flags import Head, take_apart
from dockyard.dockerfile.grammar import BY_KEYWORD
from dockyard.dockerfile.heredocs import Opener, openers
from dockyard.dockerfile.instructions import Heredoc, Location
from dockyard.dockerfile.words import SPACE, is_json
from dockyard.errors import DockerfileInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SIZE = 16 << 20  # bytes of a Dockerfile
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Source:
    """A Dockerfile's lines, ``raw`` with what is left of their ends, and its directives."""

    name: str
    raw: tuple[str, ...]
    lines: tuple[str, ...]
    directives: tuple[tuple[str, str], ...] = ()

    @property
    def escape(self) -> str:
        """The character that continues lines and takes the meaning of the next."""
        return dict(self.directives).get("escape", DEFAULT_ESCAPE)

    def error(self, message: str, line: int, column: int = 1, hint: str | None = None) -> DockerfileInvalid:
        """An error at a line and column, to be raised."""
        shown = self.lines[line - 1]
        return DockerfileInvalid(message, file=self.name, line=line, column=column, source=shown, hint=hint)


@dataclass(frozen=True, slots=True)
class Statement:
    """One instruction's text.

    ``pieces`` say for offsets in ``text`` which line and column they are from; ``comments`` are those of the lines
    just above, ``gaps`` the empty lines inside.
    """

    source: Source
    text: str
    pieces: tuple[tuple[int, int, int], ...]
    end_line: int
    head: Head
    heredocs: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()
    gaps: tuple[int, ...] = ()

    @property
    def location(self) -> Location:
        """Where it stands, from its keyword to the last line of its last here-document."""
        line, column = self.place(self.head.word_at)
        return Location(line, self.end_line, column)

    def place(self, at: int) -> tuple[int, int]:
        """The line and column of an offset in ``text``."""
        start, line, column = self.pieces[bisect_right(self.pieces, at, key=lambda piece: piece[0]) - 1]
        return line, column + at - start

    def error(self, message: str, at: int | None = None, hint: str | None = None) -> DockerfileInvalid:
        """An error at an offset in ``text``, or at the keyword, to be raised."""
        return self.source.error(message, *self.place(self.head.word_at if at is None else at), hint)


def open_source(text: str, name: str) -> Source:
    """Cut ``text`` into lines and read its directives; raise :class:`DockerfileInvalid` for what is no text."""
    text = text.removeprefix(_BOM)
    raw = tuple(text.removesuffix("\n").split("\n")) if text else ()
    source = Source(name, raw, tuple(line.rstrip("\r") for line in raw))
    if len(text.encode(errors="surrogatepass")) > MAX_SIZE:
        raise DockerfileInvalid(f"larger than {MAX_SIZE >> 20} MiB", file=name, hint="is it a Dockerfile?")
    for number, line in enumerate(source.lines, 1):
        if "\0" in line:
            raise source.error("holds a NUL character", number, line.index("\0") + 1, "is it a Dockerfile?")
        if not line.isascii() and any("\ud800" <= char <= "\udfff" for char in line):
            raise source.error("not valid UTF-8", number, hint="is it a Dockerfile?")
    return replace(source, directives=read_directives(source.lines, file=name))


def statements(source: Source) -> Iterator[Statement]:
    """The statements of ``source`` in order; raise :class:`DockerfileInvalid` for a here-document without an end."""
    lines, escape = source.lines, source.escape
    comments: list[str] = []
    index = len(source.directives)  # each has a line, and they are the first
    while index < len(lines):
        line = lines[index].lstrip(SPACE)
        index += 1
        if line.startswith("#"):
            comment = line[1:].strip(SPACE)
            if comment:
                comments.append(comment)
            else:
                comments.clear()
            continue
        pieces = [(0, index, len(lines[index - 1]) - len(line) + 1)]
        part, goes_on = _continued(line, escape)
        parts, gaps, size = [part], [], len(part)
        while goes_on and index < len(lines):
            line = lines[index]
            index += 1
            start = line.lstrip(SPACE)
            if not start:
                gaps.append(index)
            elif not start.startswith("#"):
                pieces.append((size, index, 1))
                part, goes_on = _continued(line, escape)
                parts.append(part)
                size += len(part)
        text = "".join(parts)
        if text.strip(SPACE):
            statement = Statement(
                source, text, tuple(pieces), index, take_apart(text), comments=tuple(comments), gaps=tuple(gaps)
            )
            statement, index = _with_heredocs(statement, index)
            yield statement
        comments = []


def _continued(line: str, escape: str) -> tuple[str, bool]:
    """The line without the mark that the next line continues it, and whether it had one; a doubled mark is none."""
    rest = line.rstrip(" \t")
    if rest.endswith(escape) and not rest.endswith(escape * 2):
        return rest[:-1], True
    return line, False


def _with_heredocs(statement: Statement, index: int) -> tuple[Statement, int]:
    """The statement with the here-documents that it asks for, and the index of the line behind them."""
    lines = statement.source.lines
    documents = []
    for asked in _asked_for(statement):
        start = index
        while index < len(lines) and not asked.ends(lines[index]):
            index += 1
        if index == len(lines):
            hint = f"end it with a line that is {asked.name} and nothing else"
            raise statement.error("unterminated heredoc", asked.at, hint)
        text = "".join(f"{line}\n" for line in statement.source.raw[start:index])
        documents.append(Heredoc(asked.name, asked.content(text), asked.expands))
        index += 1
    return replace(statement, heredocs=tuple(documents), end_line=index), index


def _asked_for(statement: Statement) -> list[Opener]:
    if "<<" not in statement.text:
        return []
    head = statement.head
    if head.keyword == "ONBUILD":
        head = take_apart(statement.text, head.args_at)
    form = BY_KEYWORD.get(head.keyword)
    if not form or not form.heredocs or is_json(head.args):
        return []
    return openers(statement.text)
