"""``make bench``: our registry and transfers beside the peers', in one run; prints a table, writes docs/performance.md.

``--quick`` takes medians of three and leaves podman out; the full run takes medians of five. ``--only`` measures one
part and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import blobs
import build
import images
import machine
import manifests
import report
from samples import Samples

HERE = Path(__file__).parent
BUSY = 0.5
"""Load average from which on figures are not to be trusted."""
PARTS = ("limits", "uploads", "downloads", "manifests", "transfers", "lists", "build")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="medians of three, no podman; under five minutes")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone, and write nothing")
    options = parser.parse_args()
    parts = options.only or PARTS
    rounds = 3 if options.quick else 5

    os.environ["PATH"] += ":/usr/sbin:/sbin"
    layout = Path(subprocess.run([HERE / "image"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    cache = layout.parent
    (cache / "blob").mkdir(exist_ok=True)
    blob = machine.make_blob(cache / "blob/1GiB")
    digest = machine.sha256(blob)
    facts = [*machine.describe(), f"measured on {machine.file_system(cache)}"]
    if (load := os.getloadavg()[0]) > BUSY:
        print(f"Other programs keep this machine busy (load average {load:.1f}): figures will vary.", file=sys.stderr)
    samples, began = Samples(), time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="run.", dir=cache))
    try:
        if "limits" in parts:
            machine.limits(samples, rounds, blob, work)
        if "uploads" in parts:
            blobs.uploads(samples, rounds, work, blob, digest)
        if "downloads" in parts:
            blobs.downloads(samples, rounds, work, blob, digest)
        if "manifests" in parts:
            manifests.gets(samples, rounds, 5 if options.quick else 10, work)
        with images.clients(work, layout, podman=not options.quick) as clients:
            if "transfers" in parts:
                images.transfers(samples, rounds, work, clients)
            if "lists" in parts:
                images.lists(samples, work, clients)
        if "build" in parts:
            build.builds(samples, 1 if options.quick else rounds, work, layout)
    finally:
        shutil.rmtree(work, ignore_errors=True)

    table = report.table(samples)
    print(table)
    if not options.only:
        how = f"medians of {rounds}, {(time.monotonic() - began) / 60:.1f} minutes"
        report.write(HERE.parent / "docs/performance.md", table, facts, how)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
