"""What a store holds, read with nothing of dockyard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import images as make

if TYPE_CHECKING:
    from dockyard.engine.engine import Engine


def blobs(engine: Engine) -> set[str]:
    """The digests of every blob in the engine's store."""
    folder = Path(engine.context.folder) / "blobs/sha256"
    return {f"sha256:{path.name}" for path in folder.iterdir()} if folder.exists() else set()


def complete(engine: Engine) -> bool:
    """Whether every name leads to content that is all there and right, read with nothing of dockyard."""
    layout = make.Layout(Path(engine.context.folder))
    for entry in layout._entries():
        todo = [entry]
        while todo:
            found = todo.pop()
            layout.read(found["digest"])  # checks the bytes
            if found["mediaType"] in (make.MANIFEST, make.INDEX):
                fields = json.loads(layout.read(found["digest"]))
                todo += [*fields.get("manifests", []), *fields.get("layers", [])]
                todo += [fields["config"]] if "config" in fields else []
    return True
