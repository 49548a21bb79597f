"""Here-documents: which ones a line asks for.

Source: docker's Dockerfile reference, "Here-Documents".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dockyard.dockerfile.words import shell_words

_OPENER = re.compile(r"[0-9]*<<(-?+)([^<]+)")
_NAME = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*+)"|\\(.)|([^'"\\$]+)|(.)""", re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\$])')
_TABS = re.compile(r"^\t+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Opener:
    """What ``<<-"NAME"`` says: the name, whether tabs are stripped, whether variables are expanded; its offset."""

    name: str
    strips_tabs: bool
    expands: bool
    at: int = 0

    def ends(self, line: str) -> bool:
        """Whether ``line``, which may end as lines end on Windows, ends the document."""
        line = line.rstrip("\r")
        return (line.lstrip("\t") if self.strips_tabs else line) == self.name

    def content(self, text: str) -> str:
        """The document, given as it stands in the file."""
        return _TABS.sub("", text) if self.strips_tabs else text


def opener(word: str, at: int = 0) -> Opener | None:
    """The here-document that ``word`` asks for, if it does."""
    match = _OPENER.fullmatch(word)
    if not match:
        return None
    name, expands = "", True
    for part in _NAME.finditer(match[2]):
        single, double, escaped, plain, other = part.groups()
        if other:  # a variable, or a quote that nothing closes
            return None
        expands = expands and single is None and double is None
        name += single or _ESCAPED.sub(r"\1", double or "") or escaped or plain or ""
    return Opener(name, bool(match[1]), expands, at)


def openers(text: str, start: int = 0) -> list[Opener]:
    """All here-documents that ``text`` asks for from offset ``start``, in the order in which they follow."""
    found = [opener(word, start + at) for word, at in shell_words(text[start:])]
    return [one for one in found if one]
