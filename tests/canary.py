"""A canary for secrets: what tests give as passwords is marked, tokens are known by their forms, and neither may leak.

Every hub that tests start is looked at when it ends: its log, its database and its metrics; and so is every answer
that refuses something. Whoever makes up a password for a test takes it from here.
"""

from __future__ import annotations

import base64
import contextlib
import re
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKER = "goldfinch"
"""Stands in every password that tests give, and nowhere else. Letters only: no way of writing a URL changes it."""

PASSWORD = f"open sesame {MARKER}"
OTHER_PASSWORD = f"battery staple {MARKER}"
WRONG_PASSWORD = f"not this {MARKER}"


def password_of(name: str) -> str:
    """The password that a user is given in tests."""
    return f"{name} has a {MARKER}"


def _in_base64(text: str) -> list[str]:
    """What base64 writes in place of ``text``, wherever it begins; its ends depend on what is beside."""
    written = []
    for before in range(3):
        raw = base64.b64encode(b"\0" * before + text.encode()).decode()
        written.append(raw[(8 * before + 5) // 6 : 8 * (before + len(text)) // 6])
    return written


_SECRETS = {
    "a password": re.escape(MARKER),
    "a password in base64": "|".join(map(re.escape, _in_base64(MARKER))),
    "a token": r"\bdy[prl]_[A-Za-z0-9]{8}",
    "a ticket": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8}",
    "a second factor": r"otpauth:",
    "a cookie": r"dockyard_(?:session|form|pending)[\"']?[=:] ?[\"']?[\w.-]{20}",
}
_FORMS = re.compile("|".join(f"(?P<f{n}>{form})" for n, form in enumerate(_SECRETS.values())).encode(), re.ASCII)
_CODE = re.compile(rb"(?:[?&]|\b)(?:code|invitation|csrf|password|refresh_token)=[\w-]{20}", re.ASCII)
_SETUP = re.compile(rb"^Create the first administrator: .*$", re.MULTILINE)
"""The one line of a hub's output that has a code in it: it is there for who started it."""


class Leaked(AssertionError):
    """A secret stands where none may."""


def secrets_in(text: bytes) -> list[str]:
    """What kinds of secrets stand in a text, each with what is before it."""
    names = list(_SECRETS)
    return [
        f"{names[int(match.lastgroup[1:])]} after {text[max(0, match.start() - 100) : match.start()]!r}"
        for match in _FORMS.finditer(text)
        if match.lastgroup
    ]


def check(where: str, text: bytes) -> None:
    """Raise :class:`Leaked` where a secret stands in the text."""
    found = secrets_in(text)
    if found:
        raise Leaked(f"{where} shows {len(found)} secrets: {'; '.join(found[:5])}")


def check_answer(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise :class:`Leaked` where an answer that refuses something says a secret."""
    if status >= 400:
        lines = "\n".join(f"{name}: {value}" for name, value in headers.items() if name.lower() != "set-cookie")
        check(f"an answer with status {status}", lines.encode() + b"\n\n" + body)


def check_log(log: Path) -> None:
    """The same for what a hub printed and logged."""
    text = _SETUP.sub(b"", log.read_bytes()) if log.exists() else b""
    check(f"the log {log}", text)
    if code := _CODE.search(text):
        raise Leaked(f"the log {log} shows a code after {text[max(0, code.start() - 100) : code.start()]!r}")


def check_database(database: Path) -> None:
    """The same for a hub's database as it lies on the disk, and for what its audit log says."""
    files = [path for path in (database, database.with_name(database.name + "-wal")) if path.exists()]
    with tempfile.TemporaryDirectory() as folder:
        # Whoever opens a database writes beside it: what a killed hub left is for the next hub to find.
        for path in files:
            with contextlib.suppress(FileNotFoundError):
                copy = shutil.copy(path, folder)
                check(f"the file {path}", Path(copy).read_bytes())
        if files:
            check(f"the audit log in {database}", "\n".join(audit_rows(Path(folder, database.name))).encode())


def audit_rows(database: Path) -> list[str]:
    """What every audit row of a database says; one that has no such table yet has none."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit'").fetchone():
            return []
        details = connection.execute("SELECT detail FROM audit WHERE detail IS NOT NULL").fetchall()
        return [repr(row) for row in [*connection.execute("SELECT * FROM audit"), *details]]
