"""Values → the table that is printed and kept in docs/performance.md."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blobs import DOWN, EIGHT, PATCH, PUT
from build import BUILD, CACHED, CHANGED, SAME
from images import LS, PULL, PUSH
from machine import DISK, LOOPBACK, SHA256
from manifests import ACCOUNTS, GETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from samples import Samples, Work

OURS = "dockyard"
BEGIN, END = "<!-- measured: written by make bench -->", "<!-- end of what make bench writes -->"


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that we want to reach: what it says, and whether a run reached it."""

    work: Work
    says: str
    reached: Callable[[Samples], bool]
    needs: tuple[tuple[Work, str], ...]


def against(work: Work, peer: str, times: float, says: str) -> Target:
    """At least ``times`` as fast as the peer."""

    def reached(samples: Samples) -> bool:
        return work.better(samples.median(work, OURS), samples.median(work, peer)) >= times

    return Target(work, says, reached, ((work, OURS), (work, peer)))


def at_most(work: Work, seconds: float) -> Target:
    """No more than so many seconds."""
    return Target(work, f"{seconds} s at most", lambda samples: samples.median(work, OURS) <= seconds, ((work, OURS),))


def near_limit(work: Work) -> Target:
    """At least 80 % of the slowest of the machine's limits."""
    limits = (SHA256, LOOPBACK, DISK)

    def reached(samples: Samples) -> bool:
        return samples.median(work, OURS) * 0.8 <= max(samples.median(limit, "this machine") for limit in limits)

    needs = ((work, OURS), *((limit, "this machine") for limit in limits))
    return Target(work, "80 % of the machine's limit", reached, needs)


def with_accounts(samples: Samples) -> bool:
    """Whether checking who asks leaves the figure of manifest GETs where it has to be."""
    return samples.median(GETS, ACCOUNTS) >= 6 * samples.median(GETS, "docker-registry")


NEEDS_ACCOUNTS = ((GETS, ACCOUNTS), (GETS, "docker-registry"))

TARGETS = [
    against(PATCH, "docker-registry", 1, "ahead of docker-registry"),
    near_limit(PATCH),
    against(PUT, "docker-registry", 1, "ahead of docker-registry"),
    near_limit(PUT),
    against(DOWN, "docker-registry", 1, "not behind docker-registry"),
    against(DOWN, "nginx sendfile", 1 / 1.1, "within 10 % of nginx"),
    against(EIGHT, "docker-registry", 1, "not behind docker-registry"),
    against(EIGHT, "nginx sendfile", 1 / 1.1, "within 10 % of nginx"),
    against(GETS, "docker-registry", 6, "6 times docker-registry"),
    Target(GETS, "6 times docker-registry, with accounts and a ticket in each request", with_accounts, NEEDS_ACCOUNTS),
    against(PUSH["dockyard"], "podman", 6, "1/6 of podman's time"),
    against(PULL["dockyard"], "skopeo", 1 / 1.5, "1.5 times skopeo's time at most"),
    at_most(LS, 0.1),
    against(BUILD, "buildah", 4, "1/4 of buildah's time"),
    at_most(CACHED, 0.5),
    at_most(CHANGED, 1.5),
    Target(SAME, "99.8 % at least", lambda samples: samples.median(SAME, OURS) >= 99.8, ((SAME, OURS),)),
]


def figure(value: float, unit: str) -> str:
    """A value with as many digits as mean something."""
    if unit == "/s":
        return f"{value:,.0f}/s"
    if unit != "s":
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{value * 1000:.0f} ms" if value < 0.2 else f"{value:.2f} s"


def table(samples: Samples) -> str:
    """Markdown: a line for each subject of each work, ours first, how ours compares, and what we want to reach."""
    lines = ["| work | who | median | all | dockyard is |", "|---|---|---|---|---|"]
    for work, subjects in samples.values.items():
        ours = samples.median(work, OURS) if OURS in subjects else None
        for name in sorted(subjects, key=lambda name: (name != OURS, name)):
            median = samples.median(work, name)
            values = sorted(subjects[name])
            spread = f"{figure(values[0], work.unit)} to {figure(values[-1], work.unit)}" if len(values) > 1 else ""
            factor = ""
            if ours is not None and name != OURS and work.unit in ("s", "/s"):
                factor = f"{work.better(ours, median):.2f} times as fast"
            title = work.name + (f" ({work.note})" if work.note else "")
            lines.append(f"| {title} | {name} | {figure(median, work.unit)} | {spread} | {factor} |")
    lines += ["", "| what we want to reach | here |", "|---|---|"]
    for target in TARGETS:
        if all(name in samples.values.get(work, {}) for work, name in target.needs):
            lines.append(f"| {target.work.name}: {target.says} | {'yes' if target.reached(samples) else '**no**'} |")
    return "\n".join(lines)


def write(page: Path, table: str, facts: list[str], how: str) -> None:
    """Put the figures between the marks of the page; what people wrote around them stays."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no place for the figures: {BEGIN} … {END}")
    today = datetime.datetime.now(datetime.UTC).date()
    measured = f"{today}, {how}. {'; '.join(facts)}."
    page.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{table}\n\n{END}{after}")
