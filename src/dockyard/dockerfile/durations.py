"""Durations as Go reads them: ``1h30m``, ``500ms``.

Source: the documentation of Go's ``time.ParseDuration``; the messages are Go's.
"""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([^0-9.]*)")
_MOST = 2**63 - 1


def nanoseconds(text: str) -> int:
    """The length of a duration such as ``1m30s``; raise ``ValueError`` with a reason."""
    shown = f'"{text}"' if len(text) <= 100 else f'"{text[:97]}..."'
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest or len(text) > 100 or "".join(part[0] for part in _PART.finditer(rest)) != rest:
        raise ValueError(f"time: invalid duration {shown}")
    total = 0
    for number, unit in _PART.findall(rest):
        if not unit:
            raise ValueError(f"time: missing unit in duration {shown}")
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration {shown}')
        total += int(Decimal(number) * _UNITS[unit])
    if total > _MOST:
        raise ValueError(f"time: invalid duration {shown}")
    return sign * total
