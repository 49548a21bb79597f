"""Parser directives: the comments at the top of a Dockerfile that say how to read it.

Source: docker's Dockerfile reference, "Parser directives".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dockyard.dockerfile.words import SPACE
from dockyard.errors import DockerfileInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_ESCAPE = "\\"

_DIRECTIVE = re.compile(r"#\s*([a-z][a-z0-9]*)\s*=\s*(.+?)\s*", re.IGNORECASE | re.ASCII)
_KNOWN = {"syntax", "escape", "check"}


def read_directives(lines: Sequence[str], *, file: str) -> tuple[tuple[str, str], ...]:
    """The directives that ``lines`` begin with, names in lower case; the first other line ends them.

    Raise :class:`DockerfileInvalid` for one that is given twice, and for an escape that is neither ``\\`` nor a
    back-tick.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _DIRECTIVE.fullmatch(line.strip(SPACE))
        if not match or match[1].lower() not in _KNOWN:
            break
        name, value = match[1].lower(), match[2]
        problem, hint = "", None
        if name in found:
            problem = f"only one {name} parser directive can be used"
        elif name == "escape" and value not in ("\\", "`"):
            problem = f"invalid escape token '{value}' does not match ` or \\"
            hint = "write # escape=` so that \\ is an ordinary character, or leave the line out"
        if problem:
            column = line.index("#") + 1
            raise DockerfileInvalid(problem, file=file, line=number, column=column, source=line, hint=hint)
        found[name] = value
    return tuple(found.items())
