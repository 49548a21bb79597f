"""The grammar of ``--format`` templates: text → tree. A subset of Go's ``text/template``.

Known: text, comments, trim markers, ``if``/``else if``/``else``, ``range``/``else``, ``with``/``else``, ``break``,
``continue``, ``end``, variables, pipelines, parentheses, field chains, strings, numbers, ``true``, ``false``, ``nil``.
Not known: ``define``, ``block`` and ``template``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACTION = re.compile(r"\{\{(- |-(?=\}))?")
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))
    |(?P<variable>\$\w*)
    |(?P<field>\.[A-Za-z_]\w*)
    |(?P<dot>\.)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<mark>:=|[=|(),])""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, truth value or nil."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Access:
    """``.A.B``, ``$x.A`` or ``(…).A``: fields of a start; a ``str`` start is a variable, ``"."`` the dot."""

    start: str | Pipeline
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; the value of the pipeline so far comes last."""

    function: str
    arguments: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by ``|``, each given what the one before it gave."""

    commands: tuple[Operand, ...]
    declares: tuple[str, ...] = ()
    assigns: bool = False


Operand: TypeAlias = Literal | Access | Call | Pipeline


@dataclass(frozen=True, slots=True)
class Block:
    """``if``, ``range`` or ``with``: a pipeline, what to do with it, and what to do without."""

    keyword: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """``break`` or ``continue``."""

    keyword: str


Node: TypeAlias = str | Pipeline | Block | Jump


def problem(detail: str, line: int = 1) -> Invalid:
    """The error for a template that can't be read or run, worded as docker's."""
    return Invalid(f"template parsing error: template: :{line}: {detail}")


def parse_template(text: str) -> tuple[Node, ...]:
    """Read a template; raise Invalid that says where it is wrong."""
    tree = _Tree(_items(text))
    nodes, closing = tree.nodes(in_range=False)
    if closing:
        raise problem(f"unexpected {{{{{closing.keyword}}}}}", closing.line)
    return nodes


def _items(text: str) -> Iterator[str | _Action]:
    """Cut a template into text and actions; trim markers are obeyed, comments left out."""
    at, trim, line = 0, False, 1
    while match := _ACTION.search(text, at):
        literal = text[at : match.start()]
        literal = literal.lstrip() if trim else literal
        literal = literal.rstrip() if match[1] else literal
        if literal:
            yield literal
        line = text.count("\n", 0, match.start()) + 1
        inside, at, trim = _action_text(text, match.end(), line)
        if inside is not None:
            yield _Action(inside, line)
    literal = text[at:].lstrip() if trim else text[at:]
    if literal:
        yield literal


class _Tree:
    """Puts text and actions together to blocks."""

    def __init__(self, items: Iterator[str | _Action]) -> None:
        self.items = items
        self.line = 1

    def nodes(self, *, in_range: bool) -> tuple[tuple[Node, ...], _Action | None]:
        """Read up to an ``end`` or ``else`` that belongs to somebody further out, and return that too."""
        found: list[Node] = []
        for item in self.items:
            if isinstance(item, str):
                found.append(item)
                continue
            self.line, keyword = item.line, item.keyword
            if keyword in ("end", "else"):
                return tuple(found), item
            if keyword in ("if", "range", "with"):
                found.append(self.block(item, in_range))
            elif keyword in ("break", "continue"):
                item.next()
                item.finish()
                if not in_range:
                    raise problem(f"{{{{{keyword}}}}} outside {{{{range}}}}", item.line)
                found.append(Jump(keyword))
            elif keyword in ("define", "block", "template"):
                raise problem(f"{{{{{keyword}}}}} is not supported here", item.line)
            else:
                found.append(item.pipeline())
        return tuple(found), None

    def block(self, action: _Action, in_range: bool) -> Block:
        """Read a block from its keyword to its ``end``; an ``else if`` is a block that shares the ``end``."""
        keyword = action.next()[1]
        pipeline = action.pipeline()
        body, closing = self.nodes(in_range=in_range or keyword == "range")
        otherwise: tuple[Node, ...] = ()
        if closing and closing.next()[1] == "else":
            if closing.keyword in ("if", "with"):
                return Block(keyword, pipeline, body, (self.block(closing, in_range),))
            closing.finish()
            otherwise, closing = self.nodes(in_range=in_range)
            if closing and closing.next()[1] == "else":
                raise problem("unexpected {{else}}", closing.line)
        if closing is None:
            raise problem("unexpected EOF", self.line)
        closing.finish()
        return Block(keyword, pipeline, body, otherwise)


def _action_text(text: str, start: int, line: int) -> tuple[str | None, int, bool]:
    """What stands between the braces (``None`` for a comment), where it ends, and whether to trim what follows."""
    if text.startswith("/*", start):
        end = text.find("*/", start)
        closing = re.compile(r"\*/( -)?\}\}").match(text, end) if end >= 0 else None
        if not closing:
            raise problem("unclosed comment", line)
        return None, closing.end(), bool(closing[1])
    at = start
    while at < len(text):
        if text.startswith("}}", at):
            trim = bool(re.search(r"\s-\Z", text[start - 1 : at]))
            return text[start : at - (1 if trim else 0)], at + 2, trim
        token = _TOKEN.match(text, at)
        at = token.end() if token and token.lastgroup == "text" else at + 1
    raise problem("unclosed action", line)


class _Action:
    """The tokens of one action, and the functions that read them from left to right."""

    def __init__(self, text: str, line: int) -> None:
        self.line = line
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if not match or match.lastgroup is None:
                unended = text[at] in '"`'
                raise problem("unterminated quoted string" if unended else f"unexpected {text[at]!r} in action", line)
            self.tokens.append((match.lastgroup, match[0]))
            at = match.end()
        while self.tokens and self.tokens[-1][0] == "space":
            self.tokens.pop()
        self.at = 0
        self.skip()

    @property
    def keyword(self) -> str:
        """The next token where it is a word, such as ``if``."""
        kind, text = self.peek()
        return text if kind == "word" else ""

    def pipeline(self, closing: str = "") -> Pipeline:
        """Read commands up to the action's end, or up to ``closing``."""
        declares, assigns = self.declaration()
        commands = [self.command()]
        while self.peek()[1] == "|":
            self.next()
            commands.append(self.command())
        if closing:
            if self.next()[1] != closing:
                raise problem("unclosed left paren", self.line)
        else:
            self.finish()
        return Pipeline(tuple(commands), declares, assigns)

    def declaration(self) -> tuple[tuple[str, ...], bool]:
        """Read ``$x :=``, ``$i, $x :=`` or ``$x =``, where it stands there."""
        start, names = self.at, []
        while self.peek()[0] == "variable":
            names.append(self.next()[1])
            if self.peek()[1] in (":=", "="):
                return tuple(names), self.next()[1] == "="
            if self.peek()[1] != ",":
                break
            self.next()
        self.at = start
        return (), False

    def command(self) -> Operand:
        """Read a function with its arguments, or one operand."""
        kind, text = self.peek()
        if kind == "word" and text not in ("true", "false", "nil"):
            self.next()
            arguments = []
            while self.peek()[0] and self.peek()[1] not in ("|", ")"):
                arguments.append(self.operand())
            return Call(text, tuple(arguments))
        first = self.operand()
        if self.peek()[0] and self.peek()[1] not in ("|", ")"):
            raise problem(f"can't give arguments to {text}, which is no function", self.line)
        return first

    def operand(self) -> Operand:
        """Read a value, with the fields that hang on it."""
        kind, text = self.next(skip=False)
        found: Operand
        if kind == "text":
            found = Literal(_unquote(text))
        elif kind == "number":
            found = Literal(self.number(text))
        elif kind == "word" and text in ("true", "false", "nil"):
            found = Literal({"true": True, "false": False, "nil": None}[text])
        elif kind == "word":
            found = Call(text, ())
        elif kind == "dot":
            found = Access(".", ())
        elif kind == "field":
            found = Access(".", (text[1:], *self.fields()))
        elif kind == "variable":
            found = Access(text, self.fields())
        elif text == "(":
            self.skip()
            inner = self.pipeline(")")
            hanging = self.fields()
            found = Access(inner, hanging) if hanging else inner
        else:
            raise problem("missing value for command" if not kind else f"unexpected {text!r} in operand", self.line)
        self.skip()
        return found

    def number(self, text: str) -> int | float:
        """Read a number as Go writes them."""
        try:
            if "x" in text.lower():
                return int(text, 16)
            return float(text) if re.search(r"[.eE]", text) else int(text)
        except ValueError:  # more digits than Python takes
            raise problem(f"bad number syntax: {text[:20]!r}", self.line) from None

    def fields(self) -> tuple[str, ...]:
        """Read ``.A.B`` that directly follows."""
        found = []
        while self.at < len(self.tokens) and self.tokens[self.at][0] == "field":
            found.append(self.tokens[self.at][1][1:])
            self.at += 1
        return tuple(found)

    def peek(self) -> tuple[str, str]:
        """The next token; ``("", "")`` at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ("", "")

    def next(self, *, skip: bool = True) -> tuple[str, str]:
        """Take the next token, and the space after it."""
        token = self.peek()
        self.at += 1
        if skip:
            self.skip()
        return token

    def skip(self) -> None:
        """Pass over space."""
        while self.peek()[0] == "space":
            self.at += 1

    def finish(self) -> None:
        """Refuse what is left over."""
        if self.peek()[0]:
            raise problem(f"unexpected {self.peek()[1]!r} in action", self.line)


def _unquote(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]

    def expand(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "xuU":
            point = int(code[1:], 16)
            return "\ufffd" if point > 0x10FFFF or 0xD800 <= point < 0xE000 else chr(point)
        return chr(int(code, 8)) if len(code) == 3 else _ESCAPES.get(code, code)

    return _ESCAPE.sub(expand, text[1:-1])
