"""``Link`` headers: where a list goes on.

Source: RFC 8288; OCI distribution specification, section "Listing Tags".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

if TYPE_CHECKING:
    from collections.abc import Iterable

_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[^\s=;,\"<>]+\s*(?:=\s*(?:\"[^\"]*\"|[^\s;,\"<>]*))?)*)")
_NEXT = re.compile(r";\s*rel\s*=\s*(?:next\b|\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\")", re.IGNORECASE)


def next_page(links: Iterable[str], base: str) -> str | None:
    """Return the URL of the page after ``base``, or ``None`` where this is the last."""
    for header in links:
        for match in _LINK.finditer(header[:16384]):
            if _NEXT.search(match[2]):
                return str(urljoin(base, match[1]))
    return None
