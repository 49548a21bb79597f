"""Forms as browsers send them, the tokens they carry, and where one may lead on to. Pure.

Source: WHATWG URL standard, "application/x-www-form-urlencoded".
"""

from __future__ import annotations

import hmac
import re
from urllib.parse import parse_qs

from dockyard.errors import Invalid

FORM_LIMIT = 64 * 1024
"""Bytes that a form may have."""

FIELDS = 50
"""Fields that a form may have."""

FORM_TYPE = "application/x-www-form-urlencoded"

_PATH = re.compile(r"/[!-\[\]-~]*", re.ASCII)  # printable, without spaces and backslashes
_PATH_LENGTH = 1000


class Form:
    """The fields of one form: each is text without NUL, and what is missing is empty."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        """Use :func:`parse_form`."""
        self._fields = fields

    def text(self, name: str) -> str:
        """The value of a field, without spaces around it. Invalid where it came twice."""
        return self.exact(name).strip()

    def exact(self, name: str) -> str:
        """The value of a field as it was typed, as a password is. Invalid where it came twice."""
        values = self.all(name)
        if len(values) > 1:
            raise Invalid("a field of the form came twice")
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        """Every value of a field, such as of boxes that are ticked."""
        return self._fields.get(name, [])

    def number(self, name: str) -> int:
        """The value of a field that is an id. Invalid where it is none."""
        value = self.text(name)
        if not (value.isascii() and value.isdecimal() and len(value) < 19):
            raise Invalid("a field of the form is not a number")
        return int(value)


def parse_form(content_type: str, body: bytes) -> Form:
    """Read a form's body. Invalid where it is of another type, not UTF-8, or has too many fields."""
    if content_type.partition(";")[0].strip().lower() != FORM_TYPE:
        raise Invalid(f"a form is sent as {FORM_TYPE}")
    try:
        text = body.decode("ascii")
        fields = parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS)
    except ValueError:
        raise Invalid("the form can't be read") from None
    if any("\0" in value for values in fields.values() for value in values):
        raise Invalid("the form can't be read")
    return Form(fields)


def same_token(one: str, other: str) -> bool:
    """Whether two tokens are the same and not empty, in a time that says nothing of where they differ."""
    return bool(one) and hmac.compare_digest(one.encode(), other.encode())


def next_path(text: str) -> str:
    """Where a form leads on to: ``text`` where that is a path of this hub, else ``/``.

    Browsers read ``//host`` and ``/\\host`` as another host, and drop tabs and ends of lines before they look.
    """
    fits = len(text) <= _PATH_LENGTH and "//" not in text and _PATH.fullmatch(text)
    return text if fits else "/"
