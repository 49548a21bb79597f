"""One instruction to be read: its statement, its form, and its flags, checked against the form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.dockerfile.grammar import Takes
from dockyard.dockerfile.words import NotStrings, json_words, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dockyard.dockerfile.grammar import Flag, Form
    from dockyard.dockerfile.instructions import Location
    from dockyard.dockerfile.lexer import Statement
    from dockyard.errors import DockerfileInvalid


@dataclass(frozen=True, slots=True)
class Request:
    """What an instruction is read from. ``flags`` are the values given, a switch's ``true`` or ``false``."""

    statement: Statement
    form: Form
    flags: Mapping[str, tuple[str, ...]]
    location: Location
    text: str

    @classmethod
    def of(cls, statement: Statement, form: Form) -> Request:
        """Read the flags of ``statement``; raise :class:`DockerfileInvalid` for what ``form`` does not take."""
        found: dict[str, list[str]] = {}
        for text, at in statement.head.flags:
            name, equals, value = text[2:].partition("=")
            flag = _known(statement, form, name, at)
            if name in found and flag.takes is not Takes.VALUES:
                raise statement.error(f"duplicate flag specified: --{name}", at)
            found.setdefault(name, []).append(_value(statement, flag, value if equals else None, at))
        flags = {name: tuple(values) for name, values in found.items()}
        return cls(statement, form, flags, statement.location, statement.text[statement.head.word_at :].rstrip())

    @property
    def keyword(self) -> str:
        """The instruction's word in upper case."""
        return self.form.keyword

    @property
    def args(self) -> str:
        """All behind the flags, as written."""
        return self.statement.head.args

    def value(self, name: str) -> str:
        """The value of a flag, or nothing."""
        return self.flags.get(name, ("",))[0]

    def switch(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.value(name) == "true"

    def json(self) -> tuple[str, ...] | None:
        """The words of the JSON form, or ``None``; an array of anything but strings is refused."""
        try:
            return json_words(self.args)
        except NotStrings:
            raise self.error("when using JSON array syntax, arrays must be comprised of strings only") from None

    def error(self, message: str, *, word: str = "", hint: str | None = None) -> DockerfileInvalid:
        """An error at the argument ``word``, or at the keyword, to be raised."""
        head = self.statement.head
        found = re.search(rf"(?<!\S){re.escape(word)}", head.args) if word else None
        at = head.args_at + found.start() if found else head.word_at
        return self.statement.error(message, at, hint or f"write it as: {self.form.syntax[0]}")

    def bad_flag(self, name: str, message: str, hint: str) -> DockerfileInvalid:
        """An error at a flag that was given, to be raised."""
        at = next(at for text, at in self.statement.head.flags if text.startswith(f"--{name}"))
        return self.statement.error(message, at, hint)


def _known(statement: Statement, form: Form, name: str, at: int) -> Flag:
    flag = form.flag(name)
    if flag:
        return flag
    meant = nearest(name.lower(), [known.name for known in form.flags])
    hint = (
        f"did you mean --{meant}?"
        if meant
        else f"{form.keyword} takes " + (", ".join(known.syntax for known in form.flags) or "no flags")
    )
    raise statement.error(f"unknown flag: --{name}", at, hint)


def _value(statement: Statement, flag: Flag, value: str | None, at: int) -> str:
    hint = f"write it as: {flag.syntax}"
    if flag.takes is Takes.SWITCH:
        if value is None:
            return "true"
        if value and value.lower() not in ("true", "false"):
            raise statement.error(f"expecting boolean value for flag --{flag.name}, not: {value}", at, hint)
        value = value.lower() or None
    if value is None:
        raise statement.error(f"missing a value on flag: --{flag.name}", at, hint)
    if flag.choices and value not in flag.choices:
        choices = ", ".join(flag.choices)
        raise statement.error(f'invalid {flag.name} mode "{value}"', at, f"one of {choices}")
    return value
