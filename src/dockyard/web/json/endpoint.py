"""An endpoint of the JSON API, declared once: its routing, what it reads and checks, and its place in the document.

A handler's signature says the rest: the parameters that stand in braces in the path, ``query`` and ``body`` with their
types, and what it returns. A body is checked strictly: a field that is not declared is an error, and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from dockyard.errors import DockyardError, Invalid
from dockyard.web.json.fields import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dockyard.registry.access import Actor
    from dockyard.registry.answers import Page
    from dockyard.registry.hub import Hub

    Handler = Callable[..., Awaitable[Any]]

T = TypeVar("T")

PREFIX = "/api/v1"
BODY_LIMIT = 64 * 1024
"""Bytes that a body may have."""

_FIELDS = 20
_BRACES = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks whom. ``cookie`` is the session's, where that is what proved who asks."""

    hub: Hub
    actor: Actor
    cookie: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """Some of a list. ``next`` is what to send as ``after`` for what follows; ``null`` where nothing does."""

    items: list[T]
    next: str | None = None


def listing(page: Page[T], key: Callable[[T], object]) -> Listing[T]:
    """A page as it is sent; ``key`` is what the list is sorted by."""
    return Listing(list(page.items), str(key(page.items[-1])) if page.more else None)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer of another kind than JSON, made while it is sent."""

    media_type: str
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method on one path. ``answer``, ``body`` and ``query`` are types; ``None``: there is none.

    ``public``: also for those who don't say who they are. ``location``: where what was made is, as a path with the
    answer's attributes in braces. ``errors``: the kinds it raises besides those that all do. ``media``: what else than
    JSON it answers with.
    """

    method: str
    path: str
    summary: str
    handle: Handler
    status: int
    public: bool
    location: str
    errors: tuple[type[DockyardError], ...]
    media: tuple[str, ...]
    answer: Any
    body: type[msgspec.Struct] | None
    query: type[msgspec.Struct] | None

    @property
    def names(self) -> list[str]:
        """The parameters of the path."""
        return _BRACES.findall(self.path)

    def place_of(self, answer: object) -> str:
        """The path of what was made; a slash in its name is escaped."""
        return PREFIX + _BRACES.sub(lambda match: quote(getattr(answer, match[1]), safe=""), self.location)

    def arguments(self, names: Mapping[str, str], query: bytes) -> dict[str, Any]:
        """Read path and query. NameInvalid, NotFound, Invalid."""
        values = {name: PARAMETERS[name].read(_unescaped(text)) for name, text in names.items()}
        if self.query:
            values["query"] = _read_query(self.query, query)
        elif query:
            raise Invalid("this takes no parameters in its query")
        return values


def endpoint(
    method: str,
    path: str,
    summary: str,
    *errors: type[DockyardError],
    status: int = 0,
    public: bool = False,
    location: str = "",
    media: Sequence[str] = (),
) -> Callable[[Handler], Endpoint]:
    """Declare what the decorated function answers; it becomes the :class:`Endpoint`."""

    def declare(handle: Handler) -> Endpoint:
        hints = get_type_hints(handle, include_extras=True)
        answer = None if hints["return"] is type(None) else hints["return"]
        code = status or (200 if answer else 204)
        types = answer, hints.get("body"), hints.get("query")
        return Endpoint(method, path, summary, handle, code, public, location, errors, tuple(media), *types)

    return declare


def read_body(kind: type[T], content_type: str | None, raw: bytes) -> T:
    """Read a JSON body as what was declared. Invalid, whatever is wrong with it."""
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise Invalid("the body has to be JSON", hint="Send it with Content-Type: application/json.")
    try:
        return msgspec.convert(_UNTYPED.decode(raw), kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the body can't be read: {error}") from None


def compiled(path: str) -> re.Pattern[str]:
    """What matches the path of a declaration, still escaped as it is on the wire."""
    parts = _BRACES.split(path)
    texts = [f"(?P<{part}>{PARAMETERS[part].pattern})" if n % 2 else re.escape(part) for n, part in enumerate(parts)]
    return re.compile("".join(texts))


def _number(text: str) -> int | float:
    # JSON has one kind of number, and JSON Schema takes 90.0 as an integer.
    value = float(text)
    return int(value) if value.is_integer() else value


_UNTYPED = msgspec.json.Decoder(float_hook=_number)


def _read_query(kind: type[T], raw: bytes) -> T:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        raise Invalid("the query can't be read") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise Invalid("a parameter is there twice in the query")
    try:
        return msgspec.convert(dict(pairs), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"the query can't be read: {error}") from None


def _unescaped(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Invalid("the path is not UTF-8") from None
