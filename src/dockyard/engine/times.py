"""Moments as image configs and filters write them, in seconds since 1970."""

from __future__ import annotations

import re

from dockyard.errors import Invalid

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_STEP = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def moment(text: str) -> float:
    """Read an RFC 3339 time, also a date alone; 0 where it is none, as others write what they like."""
    match = _MOMENT.fullmatch(text)
    if not match:
        return 0.0
    from datetime import UTC, datetime, timedelta

    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        # A leap second has no number of its own.
        found = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return 0.0
    zone = match[8] or "Z"
    if zone not in "Zz":
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        found = found - shift if zone[0] == "+" else found + shift
    return found.timestamp() + float(match[7] or 0)


def text(seconds: float) -> str:
    """An RFC 3339 time in UTC, to the microsecond: of two images made within a second one is the newer."""
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(seconds, UTC)
    fraction = f".{moment.microsecond:06}".rstrip("0.")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def until(value: str, now: float) -> float:
    """Read the filter ``until``: a time, seconds since 1970, or an age such as ``24h`` or ``1h30m``. Invalid."""
    if _DURATION.fullmatch(value):
        return now - sum(float(number) * _UNITS[unit] for number, unit in _STEP.findall(value))
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    found = moment(value)
    if not found:
        raise Invalid(f"invalid filter 'until={value}': it is neither a time nor an age such as 24h")
    return found
