"""The entry point ``dockyard``: as little as can be before the first command word is read."""

from __future__ import annotations

import gc
import os
import sys

ALLOCATIONS = 100_000
"""Objects made, less those freed, before cycles are looked for: more than a local command ever makes."""


def main() -> int:
    """Run the command line of this process; return its exit code. What goes wrong is said on stderr."""
    # Looking for cycles, while modules are imported and again when the interpreter ends, took a fifth of `image ls`.
    gc.set_threshold(ALLOCATIONS, 50, 100)
    _reopen()
    from dockyard.cli.program import run

    code = run(sys.argv[1:])
    gc.freeze()
    return code


def _reopen() -> None:
    """Give the streams that our caller closed their numbers back, lest a file of ours gets one and is written into.

    Nothing can be read there, and writing to stdout fails, as what was asked for can't be shown.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            setattr(sys, name, open(descriptor, mode))  # noqa: SIM115 - as long as the process
