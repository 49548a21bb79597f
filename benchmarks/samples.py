"""Measured values: one run, alternating subjects, medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that is measured. ``unit`` is ``s`` (less is better), ``/s`` (more is better) or what is counted."""

    name: str
    unit: str = "s"
    note: str = ""

    def better(self, ours: float, theirs: float) -> float:
        """How many times as fast ``ours`` is as ``theirs``; only where the unit is of time."""
        return theirs / ours if self.unit == "s" else ours / theirs


@dataclass
class Samples:
    """All values of a run: work → subject → values in the order they were measured."""

    values: dict[Work, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, work: Work, subject: str, value: float) -> None:
        """Keep one value, and show it."""
        self.values.setdefault(work, {}).setdefault(subject, []).append(value)
        print(f"  {work.name}: {subject}: {value:.3f} {work.unit}", file=sys.stderr, flush=True)

    def median(self, work: Work, subject: str) -> float:
        """The median of one subject's values."""
        return statistics.median(self.values[work][subject])

    def alternate(self, work: Work, rounds: int, subjects: Iterable[str], measure: Callable[[str], float]) -> None:
        """Measure every subject once in each round; the first of a round changes, so that none always follows one."""
        names = list(subjects)
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                self.add(work, name, measure(name))


def timed(action: Callable[[], object]) -> float:
    """Seconds that ``action`` takes, once what earlier ones wrote is on the disk."""
    os.sync()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def must(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> str:
    """Run a program that has to succeed; return what it printed."""
    done = subprocess.run([str(part) for part in command], env=env, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{(done.stdout + done.stderr).decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def together(commands: Iterable[Sequence[str]]) -> None:
    """Run programs at the same time; all have to succeed."""
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for command in commands]
    if any([process.wait() for process in running]):
        sys.exit(f"one of these failed: {running[0].args!r} …")
