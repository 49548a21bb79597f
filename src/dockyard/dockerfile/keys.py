"""The key of a step: equal keys make equal layers, whoever builds them, when, and in which file.

A key is made of what decides the layer and of nothing else: the layers below, the platform, what is done, and the
content of what is read. Names of stages, images and Dockerfiles, comments and the config are not in it. Of a secret
there is its name, never its value.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from dockyard.dockerfile.steps import CopyAction, RunAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dockyard.dockerfile.steps import Action, Step
    from dockyard.oci.digest import Digest
    from dockyard.oci.platform import Platform

_FORM = 1  # counts up when a step comes to make other layers than before, so that old records are not used


def step_key(
    *, diff_ids: Sequence[Digest], platform: Platform, step: Step, inputs: Sequence[str], epoch: int | None
) -> str:
    """The key in hex. ``inputs`` are the checksums of what the step reads, in order: of sources and bind mounts."""
    fields = {
        "form": _FORM,
        "diff_ids": [str(digest) for digest in diff_ids],
        "platform": platform.fields(),
        "action": _action(step.action),
        "inputs": list(inputs),
        "epoch": epoch,
    }
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _action(action: Action | None) -> dict[str, Any] | None:
    if action is None:
        return None
    fields = dataclasses.asdict(action)
    fields.pop("origin", None)
    if isinstance(action, RunAction):
        fields["env"] = {name: value for name, value in action.env if name not in action.transient}
        del fields["transient"]
        for mount in fields["mounts"]:
            # What is in a bind mount, and what a cache begins with, is among the inputs.
            del mount["origin"]
    if isinstance(action, CopyAction):
        fields["inline"] = [[name, base64.b64encode(data).decode()] for name, data in action.inline]
    return {"type": type(action).__name__, **fields}
