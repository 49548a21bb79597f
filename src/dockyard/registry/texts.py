"""What people may write about things: full names, descriptions, notes."""

from __future__ import annotations

from dockyard.errors import Invalid


def check_text(text: str, *, longest: int, what: str) -> str:
    """Return the text, which is one printable line of at most ``longest`` characters; raise Invalid."""
    if len(text) > longest:
        raise Invalid(f"the {what} is over {longest} characters")
    if not text.isprintable():
        raise Invalid(f"the {what} is one line of printable characters")
    return text
