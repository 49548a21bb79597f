"""What the hub's cookies are called."""

from __future__ import annotations

SESSION = "dockyard_session"
"""Of a browser that is signed in."""


def cookie_name(name: str, url: str) -> str:
    """The cookie's name where the hub is at ``url``: under https other hosts of the domain can't set it.

    Source: RFC 6265bis, section 4.1.3.2.
    """
    return f"__Host-{name}" if url.startswith("https:") else name
