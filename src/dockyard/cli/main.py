"""The entry point ``dockyard``: as little as can be before the first command word is read."""

from __future__ import annotations

import gc
import sys

ALLOCATIONS = 100_000
"""Objects made, less those freed, before cycles are looked for: more than a local command ever makes."""


def main() -> int:
    """Run the command line of this process; return its exit code. What goes wrong is said on stderr."""
    # Looking for cycles, while modules are imported and again when the interpreter ends, took a fifth of `image ls`.
    gc.set_threshold(ALLOCATIONS, 50, 100)
    from dockyard.cli.program import run

    code = run(sys.argv[1:])
    gc.freeze()
    return code
