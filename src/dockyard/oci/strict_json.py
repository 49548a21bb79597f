"""JSON from outside, read so that two readers can't see two different things in it."""

from __future__ import annotations

import json
from typing import Any

from dockyard.errors import Invalid


def parse_object(raw: bytes, what: str, error: type[Invalid] = Invalid) -> dict[str, Any]:
    """Read one JSON object; raise ``error`` on bad UTF-8, half a character, a BOM, keys twice, depth or more bytes."""
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
        if b"\\u" in raw:
            dump(value)  # an escape may have left half of a surrogate pair, which is no text
    except RecursionError:
        raise error(f"{what} is nested too deeply") from None
    except ValueError as problem:
        raise error(f"{what} is not valid JSON: {problem}") from None
    if not isinstance(value, dict):
        raise error(f"{what} is not a JSON object")
    return value


def dump(value: object) -> bytes:
    """Write JSON in the one form that dockyard makes: compact, keys in the order given."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} occurs twice")
    return fields


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
