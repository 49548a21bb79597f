"""What may stand in paths, queries and bodies of the JSON API, and how its document describes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from dockyard.errors import NameUnknown, NotFound
from dockyard.oci.reference import MAX_NAME, parse_repository
from dockyard.registry.names import LONGEST, SHORTEST, check_team_name, is_account_name

_NAME = r"[a-z0-9]+(?:[-_.][a-z0-9]+)*"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"^{_COMPONENT}(?:/{_COMPONENT})*$"
_ID = r"^[0-9]{1,18}$"

NAME_SCHEMA = {"type": "string", "pattern": f"^{_NAME}$", "minLength": SHORTEST, "maxLength": LONGEST}
REPOSITORY_SCHEMA = {"type": "string", "pattern": _REPOSITORY, "minLength": 1, "maxLength": MAX_NAME}
WHO_SCHEMA = {
    "type": "string",
    "pattern": rf"^{_NAME}(?:\+{_NAME})?$",
    "minLength": SHORTEST,
    "maxLength": 2 * LONGEST + 1,
}
ROBOT_SCHEMA = WHO_SCHEMA | {"pattern": rf"^{_NAME}\+{_NAME}$", "minLength": 2 * SHORTEST + 1}
ID_SCHEMA = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}

_NO_CONTROLS = r"^[^\u0000-\u001f\u007f]*$"
_EMAIL = r"^(?:[^\u0000-\u0020\u007f]+@[^\u0000-\u0020\u007f@]+)?$"
_NOT_BLANK = r"^ *[^\u0000-\u0020\u007f][^\u0000-\u001f\u007f]*$"

# The domain checks names, and says more of them than a pattern can; here they are only described.
Name = Annotated[str, Meta(extra_json_schema=NAME_SCHEMA)]
RepositoryText = Annotated[str, Meta(extra_json_schema=REPOSITORY_SCHEMA)]
Line = Annotated[str, Meta(max_length=200, pattern=_NO_CONTROLS)]
Text = Annotated[str, Meta(max_length=1000, pattern=_NO_CONTROLS)]
TokenName = Annotated[str, Meta(min_length=1, max_length=100, pattern=_NOT_BLANK)]
FullName = Annotated[str, Meta(max_length=100, pattern=_NO_CONTROLS)]
Email = Annotated[str, Meta(max_length=254, pattern=_EMAIL)]
Secret = Annotated[str, Meta(max_length=1024)]
NewSecret = Annotated[str, Meta(min_length=8, max_length=1024)]
Code = Annotated[str, Meta(max_length=100, description="of the authenticator, or a recovery code")]
Seconds = Annotated[int, Meta(ge=60, le=10 * 366 * 86400, description="in seconds; without it, for ever")]
Count = Annotated[int, Meta(ge=1, le=100, description="how many at most")]
After = Annotated[str, Meta(max_length=MAX_NAME, pattern=_NO_CONTROLS, description="`next` of the page before")]


class Paging(Struct, frozen=True, forbid_unknown_fields=True):
    """The query of a list that comes in pages."""

    n: Count = 50
    after: After = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of a path: how much of the path it takes, how it is read, its schema, and what it means."""

    read: Callable[[str], Any]
    schema: dict[str, Any]
    meaning: str
    pattern: str = "[^/]+"


def _who(text: str) -> str:
    # How long each half may be is more than their pattern says, so what can't be is only not there.
    account, plus, robot = text.partition("+")
    if not is_account_name(account) or (plus and not is_account_name(robot)):
        raise NameUnknown("there is no user or robot of this name")
    return text


def _robot(text: str) -> str:
    if "+" not in text:
        raise NameUnknown("there is no robot of this name", hint="A robot's name is NAMESPACE+NAME.")
    return _who(text)


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise NotFound(f"there is nothing with the id {text[:100]!r}")
    return int(text)


PARAMETERS = {
    "org": Parameter(check_team_name, NAME_SCHEMA, "an organisation"),
    "team": Parameter(check_team_name, NAME_SCHEMA, "a team of it"),
    "user": Parameter(check_team_name, NAME_SCHEMA, "a user"),
    "account": Parameter(check_team_name, NAME_SCHEMA, "a user or organisation"),
    "who": Parameter(_who, WHO_SCHEMA, "a user, or a robot as `NAMESPACE+NAME`"),
    "robot": Parameter(_robot, ROBOT_SCHEMA, "a robot as `NAMESPACE+NAME`"),
    "id": Parameter(_id, ID_SCHEMA, "the id that the list shows"),
    # What belongs to a repository follows after `/-/`, which is in no name.
    "repo": Parameter(
        parse_repository, REPOSITORY_SCHEMA, "a repository; its slashes may be sent as `%2F`", "(?:(?!/-/).)+"
    ),
}
"""Every name that stands in braces in the path of an endpoint."""


def given(body: Struct) -> dict[str, Any]:
    """The fields that a body has, of those that it may have."""
    values = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}
