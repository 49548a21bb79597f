"""What the commands over a hub's JSON API share: which hub is asked, and how its answers are shown."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dockyard.cli.failures import plain, say
from dockyard.cli.grammar import Misused
from dockyard.cli.output import DOCUMENT_FORMAT, LIST_FORMAT, fill
from dockyard.cli.session import Session
from dockyard.cli.units import age, human_duration
from dockyard.errors import DockyardError, Invalid, NameInvalid
from dockyard.oci.reference import DOCKER_HUB, parse_reference

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from dockyard.content.hub import HubClient
    from dockyard.oci.reference import Reference, RepositoryName

    Fields = dict[str, Any]

T = TypeVar("T")


class _Duration(click.ParamType[int]):
    """``90d``, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a length of time that is not nought."""
        from dockyard.config import parse_duration

        try:
            found = value if isinstance(value, int) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return found or self.fail("it has to be longer than nothing", param, ctx)


RIGHTS = click.Choice(["read", "write", "admin"])
DURATION = _Duration()

format_option = click.option("--format", "form", default="", metavar="string", help=DOCUMENT_FORMAT)
list_format_option = click.option("--format", "form", default="", metavar="string", help=LIST_FORMAT)


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub that one command asks. ``given`` is its host where the command line named it."""

    session: Session
    given: str
    insecure: bool

    @property
    def host(self) -> str:
        """Its host: the given one, else the default registry."""
        return self.given or self.session.settings.default_registry

    def ask(self, method: str, target: str, body: Mapping[str, Any] | None = None) -> Fields:
        """One request; see :meth:`dockyard.content.hub.HubClient.ask`."""

        async def one(client: HubClient) -> Fields:
            return await client.ask(method, target, body)

        return self._run(one)

    def items(self, target: str, *, most: int | None = None, **query: str) -> list[Fields]:
        """A list, whole or up to ``most`` items of it."""

        async def all_of(client: HubClient) -> list[Fields]:
            found = []
            async for item in client.items(target, **query):
                found.append(item)
                if len(found) == most:
                    break
            return found

        return self._run(all_of)

    def repository(self, text: str) -> tuple[Hub, RepositoryName]:
        """Read a repository's name: a host in it says which hub is meant. Raise NameInvalid, Invalid."""
        hub, named = self.reference(text)
        if named.tag or named.digest:
            raise Invalid(f"{text!r} names an image, not a repository", hint=f"Its repository is {named.repository}")
        return hub, named.repository

    def reference(self, text: str) -> tuple[Hub, Reference]:
        """The same for a name that may have a tag."""
        named = parse_reference(text, default_registry=self.host)
        if self.given and named.registry != self.given:
            raise Invalid(
                f"{text!r} belongs to {named.registry}, and --hub says {self.given}",
                hint=f"Where that is a namespace with a dot, write {self.given}/{text}",
            )
        return replace(self, given=named.registry), named

    def _run(self, operation: Callable[[HubClient], Awaitable[T]]) -> T:
        import asyncio

        from dockyard.content.hub import HubClient

        async def connected() -> T:
            async with self.session.registry(self.host, insecure=self.insecure) as client:
                return await operation(HubClient(client))

        return asyncio.run(connected())


def asks_hub(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags that say which hub is asked, and that hub as its first argument."""

    def call(session: Session, /, *arguments: Any, server: str, insecure: bool, **options: Any) -> Any:
        return function(Hub(session, host_in(server) if server else "", insecure), *arguments, **options)

    update_wrapper(call, function)
    named = click.option(
        "--hub", "server", default="", metavar="URL", help="Hub to ask instead of the default registry"
    )
    trusted = click.option("--insecure", is_flag=True, help="Allow plain HTTP and any certificate")
    return named(trusted(click.pass_obj(call)))


def host_in(server: str) -> str:
    """The registry's host in what people type, which may be a URL; raise NameInvalid."""
    host = server.removeprefix("https://").removeprefix("http://").split("/", 1)[0]
    try:
        named = parse_reference(f"{host}/name").registry
    except NameInvalid:
        named = ""
    if host == "registry-1.docker.io":
        return DOCKER_HUB
    if named != host and host != "index.docker.io":
        raise NameInvalid(f"{server!r} is not a registry's host", hint="Write it as localhost:5000 or hub.example.com.")
    return named


def split(text: str, form: str, at: str = "/") -> tuple[str, str]:
    """Take ``ORG/TEAM`` apart; raise NameInvalid, which shows ``form``, for anything else."""
    first, found, last = text.partition(at)
    if not (first and found and last) or "/" in last:
        raise NameInvalid(f"{text!r} is not {form}")
    return first, last


def record(fields: Mapping[str, Any]) -> Fields:
    """What a hub answered, with the names that fields have in docker's templates: ``full_name`` is ``FullName``."""
    return {
        "ID" if key == "id" else "".join(map(str.capitalize, key.split("_"))): _value(value)
        for key, value in fields.items()
    }


def show(made: Fields, form: str, text: str) -> None:
    """Print what was done: ``text``, or the record as ``form`` asks for it."""
    click.echo(fill(made, form) if form else plain(text))


def show_secret(made: Fields, secret: str, form: str, use: str) -> None:
    """Print a secret alone on stdout, so that it can be piped on, and what it is on stderr."""
    if form:
        click.echo(fill(record(made) | {"Secret": secret}, form))
        return
    say(f"{use}. It is shown this once and {_end(made['expires'])}.")
    click.echo(plain(secret))


def each(names: Iterable[str], form: str, change: Callable[[str], object]) -> int:
    """Do the same with each name and print it; go on after an error. Return the exit code."""
    failed = False
    for name in names:
        try:
            change(name)
        except DockyardError as error:
            failed = True
            say(f"Error: {error.message}", error.hint)
        else:
            show({"Name": name}, form, name)
    return 1 if failed else 0


def seconds(moment: str | None) -> float:
    """A time of an answer in seconds since 1970; 0 for none."""
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp() if moment else 0.0


def since(moment: str | None) -> str:
    """How long ago that was: ``3 weeks ago``; ``never`` for no time."""
    return age(seconds(moment), time.time()) if moment else "never"


def until(moment: str | None) -> str:
    """When something ends: ``in 3 weeks``, ``expired`` or ``never``."""
    left = seconds(moment) - time.time()
    if not moment:
        return "never"
    return f"in {human_duration(left).lower()}" if left > 0 else "expired"


def _end(expires: str | None) -> str:
    return f"expires {until(expires)}" if expires else "does not expire"


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return record(value)
    return [_value(item) for item in value] if isinstance(value, list) else value


def visibility(public: bool, private: bool) -> dict[str, bool]:
    """What the two flags say together; Misused where both are given."""
    if public and private:
        raise Misused("conflicting options: cannot specify both --public and --private")
    return {"private": private} if public or private else {}
