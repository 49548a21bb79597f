"""Sizes, ages and times as docker prints them."""

from __future__ import annotations

import time

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")


def human_size(size: float, digits: int = 4) -> str:
    """Bytes with a unit of base 1000 and up to ``digits`` significant digits: ``1.982MB``."""
    unit = 0
    while unit < len(_SIZES) - 1 and float(f"{size:.{digits}g}") >= 1000:
        size /= 1000
        unit += 1
    return f"{size:.{digits}g}{_SIZES[unit]}"


def human_duration(seconds: float) -> str:
    """A length of time in the words of docker's tables: ``About an hour``, ``3 weeks``."""
    whole = int(seconds)
    minutes, hours = whole // 60, int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, length, name in ((14, 1, "days"), (60, 7, "weeks"), (730, 30, "months")):
        if hours < limit * 24:
            return f"{hours // 24 // length} {name}"
    return f"{int(seconds / 3600) // 24 // 365} years"


def local_time(moment: float, form: str = "%Y-%m-%d %H:%M:%S %z %Z") -> str:
    """Seconds since 1970 as ``CREATED AT`` shows them: ``2026-11-24 02:07:33 +0000 UTC``; ``""`` for none."""
    return time.strftime(form, time.localtime(moment)) if moment > 0 else ""


def age(moment: float, now: float) -> str:
    """How long ago a time in seconds since 1970 was: ``3 weeks ago``; ``N/A`` for none."""
    return f"{human_duration(max(0.0, now - moment))} ago" if moment > 0 else "N/A"
