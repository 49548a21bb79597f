"""The grammar of the names of accounts and teams."""

from __future__ import annotations

import re

from dockyard.errors import NameInvalid

SHORTEST, LONGEST = 2, 30
RESERVED = frozenset({"library"})  # what clients put before official images' names

_NAME = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*", re.ASCII)


def check_account_name(text: str) -> str:
    """Return the name of a user or organisation, which is also its namespace's; raise NameInvalid."""
    if text in RESERVED:
        raise NameInvalid(f"the name {text} is reserved")
    return check_team_name(text)


def check_team_name(text: str) -> str:
    """Return the name of a team; raise NameInvalid. Robots' names after the ``+`` are of the same grammar."""
    if not SHORTEST <= len(text) <= LONGEST or not _NAME.fullmatch(text):
        shown = text if len(text) <= LONGEST else text[:LONGEST] + "..."
        raise NameInvalid(
            f"invalid name: {shown!r}",
            hint=f"A name has {SHORTEST} to {LONGEST} of a-z and 0-9, with single '-', '_' or '.' between them.",
        )
    return text


def is_account_name(text: str) -> bool:
    """Whether a user or organisation may have this name: nobody needs to ask the database for one of another form."""
    return SHORTEST <= len(text) <= LONGEST and bool(_NAME.fullmatch(text)) and text not in RESERVED
