"""Sizes, ages and times as docker prints and reads them."""

from __future__ import annotations

import re
import time

from dockyard.errors import Invalid

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)?\s*([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)", re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


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


def parse_time(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time, also a date alone; ``None`` for text that is none."""
    match = _RFC3339.fullmatch(text)
    if not match:
        return None
    import datetime

    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    zone = match[8] or "Z"
    shift = 0
    if zone not in "Zz":
        sign = -1 if zone[0] == "-" else 1
        shift = sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    try:
        moment = datetime.datetime(year, month, day, hour, minute, min(second, 59), tzinfo=datetime.UTC)
    except ValueError:
        return None
    return moment.timestamp() + float(match[7] or 0) - shift


def local_time(text: str) -> str:
    """An RFC 3339 time as ``CREATED AT`` shows it: ``2026-11-24 02:07:33 +0000 UTC``; ``""`` for none."""
    moment = parse_time(text)
    return "" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(moment))


def age(text: str, now: float) -> str:
    """How long ago an RFC 3339 time was: ``3 weeks ago``; ``""`` where there is no such time or it is the zero time."""
    moment = parse_time(text)
    return "" if moment is None or text.startswith("0001-") else f"{human_duration(max(0.0, now - moment))} ago"


def parse_until(text: str, now: float) -> float:
    """Seconds since 1970 that ``until=`` means: a time, a Unix time, or a duration back from ``now``; Invalid."""
    moment = parse_time(text)
    if moment is not None:
        return moment
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return float(text)
    if text and not _DURATION.sub("", text):
        return now - sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    raise Invalid(f"{text!r} is neither a time nor a duration", hint="Write 2026-01-31, 2026-01-31T12:00:00Z or 24h.")
