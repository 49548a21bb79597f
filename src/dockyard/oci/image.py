"""Image configs: what an image runs, where, and from which layers.

Source: OCI image specification, ``config.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dockyard.errors import DigestInvalid, Invalid
from dockyard.oci import strict_json
from dockyard.oci.digest import Digest
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class ImageConfig:
    """A config exactly as it was made; everything else is read from ``raw``. Its digest is the image's ID."""

    raw: bytes

    @cached_property
    def digest(self) -> Digest:
        """The sha256 digest of ``raw``: the image ID, as docker 28 has it."""
        return Digest.of(self.raw)

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The JSON object; raises :class:`Invalid` where it is none."""
        return strict_json.parse_object(self.raw, "the image config")

    @property
    def platform(self) -> Platform:
        """Operating system, architecture, variant and Windows version."""
        return Platform.of(self.fields)

    @property
    def created(self) -> str:
        """RFC 3339 text, or ``""`` where nothing is said."""
        value = self.fields.get("created")
        return value if isinstance(value, str) else ""

    @property
    def defaults(self) -> dict[str, Any]:
        """The ``config`` object: Env, Entrypoint, Cmd, Labels and the rest."""
        value = self.fields.get("config")
        return value if isinstance(value, dict) else {}

    @property
    def labels(self) -> dict[str, str]:
        """The image's labels."""
        value = self.defaults.get("Labels")
        return {key: str(text) for key, text in value.items()} if isinstance(value, dict) else {}

    @property
    def history(self) -> list[dict[str, Any]]:
        """One object for each build step, the oldest first."""
        value = self.fields.get("history")
        return [step for step in value if isinstance(step, dict)] if isinstance(value, list) else []

    @cached_property
    def diff_ids(self) -> tuple[Digest, ...]:
        """Digests of the uncompressed layers, the lowest first; raises :class:`Invalid` where they are broken."""
        rootfs = self.fields.get("rootfs")
        values = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if values is None:
            return ()
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise Invalid("the image config's rootfs.diff_ids is not a list of digests")
        try:
            return tuple(Digest.parse(value) for value in values)
        except DigestInvalid as error:
            raise Invalid(f"the image config's rootfs.diff_ids: {error.message}") from None


def chain_id(diff_ids: Sequence[Digest]) -> Digest:
    """The identity of a stack of layers (``config.md``, section "Layer ChainID")."""
    if not diff_ids:
        raise Invalid("a stack of no layers has no chain ID")
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = next_chain(chain, diff_id)
    return chain


def next_chain(chain: Digest | None, diff_id: Digest) -> Digest:
    """The identity of a stack with one more layer (``config.md``, section "Layer ChainID")."""
    return Digest.of(f"{chain} {diff_id}".encode(), chain.algorithm) if chain else diff_id
