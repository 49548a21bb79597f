"""How often each manifest was pulled, by day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.registry.catalog import repositories
from dockyard.registry.catalog.conflicts import insert_or_add
from dockyard.registry.schema import pulls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from dockyard.oci.reference import RepositoryName


@dataclass(slots=True)
class Pulled:
    """Pulls of one manifest on one day (counted from 1970), and the last one's time."""

    repository: RepositoryName
    digest: str
    day: int
    count: int
    last: int


def add(connection: Connection, pulled: Iterable[Pulled]) -> None:
    """Add to the counts; a repository that is not there is left out."""
    known: dict[RepositoryName, int | None] = {}
    rows: list[dict[str, object]] = []
    for item in pulled:
        if item.repository not in known:
            known[item.repository] = repositories.find(connection, item.repository)
        repository = known[item.repository]
        if repository is not None:
            row = {"repository": repository, "digest": item.digest, "day": item.day}
            row |= {"count": item.count, "last": item.last}
            rows.append(row)
    # One statement for all: building it for each takes a worker much of its time under load.
    insert_or_add(connection, pulls, rows, count="count", latest="last")
