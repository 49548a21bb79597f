"""What a registry's refusals mean, as dockyard's errors.

Source: OCI distribution specification, section "Error Codes".
"""

from __future__ import annotations

import json
import math
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from dockyard import errors
from dockyard.errors import DockyardError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ERROR_BODY = 64 * 1024
"""Bytes read of an answer that is no success."""

_LEAVES: dict[str, type[DockyardError]] = {
    leaf.code: leaf
    for leaf in (
        errors.BlobUnknown, errors.BlobUploadUnknown, errors.ManifestUnknown, errors.NameUnknown,
        errors.DigestInvalid, errors.ManifestInvalid, errors.ManifestBlobUnknown, errors.NameInvalid,
        errors.TagInvalid, errors.BlobUploadInvalid, errors.SizeInvalid, errors.Unauthenticated,
        errors.Denied, errors.Unsupported,
    )
}  # fmt: skip
_KINDS: dict[int, type[DockyardError]] = {
    400: errors.Invalid, 401: errors.Unauthenticated, 403: errors.Denied, 404: errors.NotFound,
    405: errors.Unsupported, 409: errors.Conflict, 413: errors.TooLarge, 416: errors.OutOfRange,
    429: errors.TooMany, 507: errors.Full,
}  # fmt: skip
_WORDS = {
    401: "unauthorized: authentication required",
    403: "denied: requested access to the resource is denied",
    404: "not found",
    413: "the body is too large for the registry, or for a proxy before it",
    429: "toomanyrequests: too many requests",
    507: "no space left in the registry",
}


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    where: str,
    missing: type[DockyardError] = errors.NotFound,
    now: float | None = None,
) -> DockyardError:
    """Return the error that an HTTP answer stands for.

    ``where`` names what was asked; ``missing`` is what a 404 without a code means. The registry's own code and
    message stay in the text, as docker prints them: ``manifest unknown: manifest unknown``.
    """
    code, said = _first_error(body)
    text = said or _WORDS.get(status, f"the registry answered {status}")
    message = f"{where}: {text}"
    retry_after = parse_retry_after(headers.get("Retry-After"), time.time() if now is None else now)
    if status == 429 or code == "TOOMANYREQUESTS":
        return errors.TooMany(message, retry_after=retry_after)
    if status in {408, 425} or (status >= 500 and status not in {501, 507}):
        return errors.Unavailable(message, retry_after=retry_after)
    leaf = _LEAVES.get(code)
    # A code is believed where it fits the status: a 404 says nothing about rights, whatever its body holds.
    if leaf and issubclass(leaf, _KINDS.get(status, DockyardError)):
        return leaf(message)
    if status == 401 and code == "DENIED":
        return errors.Denied(message)
    kind = missing if status == 404 else _KINDS.get(status, errors.Invalid if status < 500 else errors.Unsupported)
    return kind(message)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds until a ``Retry-After``, given as a number or as a date; ``None`` for anything else."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _first_error(body: bytes) -> tuple[str, str]:
    """The code of an OCI error body, and the text that docker makes of it."""
    try:
        entries = json.loads(body)["errors"]
        entry = entries[0]
        code, message = entry.get("code"), entry.get("message")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return "", ""
    if not isinstance(code, str):
        return "", ""
    words = code.lower().replace("_", " ")
    shown = message if isinstance(message, str) and message else words
    return code.upper(), f"{words}: {_printable(shown)}"


def _printable(text: str) -> str:
    """Text from outside, cut to one line without control characters: it ends up on a terminal."""
    return "".join(character if character.isprintable() else " " for character in text[:500])
