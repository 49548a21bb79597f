"""Every list's table, on a store that is the same each time; ages are cut to their units."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from images import GZIP, Layout, gzipped, sha256, tar
from servers import Machine

if TYPE_CHECKING:
    from collections.abc import Callable

LISTS = {
    "image-ls": ("image", "ls"),
    "image-ls-digests": ("images", "--digests", "team/app"),
    "image-ls-no-trunc": ("images", "--no-trunc"),
    "image-ls-template": ("images", "--format", r"table {{.ID}}\t{{.Repository}}:{{.Tag}}\t{{upper .Platform}}"),
    "image-ls-json": ("images", "--format", "json", "other"),
    "history": ("history", "team/app:1"),
    "history-no-trunc": ("history", "--no-trunc", "team/app:1"),
    "history-exact": ("history", "--human=false", "team/app:1"),
    "context-ls": ("context", "ls"),
    "system-df": ("system", "df"),
    "system-df-v": ("system", "df", "-v"),
    "config-ls": ("config", "ls", "--format", r"table {{.Key}}\t{{.Source}}\t{{.Variable}}\t{{.Description}}"),
    "version": ("version",),
    "inspect": ("inspect", "team/app:1"),
    "context-inspect": ("context", "inspect", "win"),
}


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine whose images have the same bytes and dates in each run."""
    machine = Machine(tmp_path_factory.mktemp("golden"))
    layout = Layout(machine.folder / "made")
    for word in ("one", "two"):
        raw = tar([(word, word.encode() * 5000)])
        layer = layout.blob(gzipped(raw), GZIP)
        history = [
            {"created": "2020-01-01T00:00:00Z", "created_by": f"/bin/sh -c #(nop) ADD file:{'0' * 64} in / "},
            {"created": "2020-01-02T00:00:00Z", "created_by": 'CMD ["sh"]', "empty_layer": True, "comment": "said"},
        ]
        platform = {"os": "linux", "architecture": "amd64"}
        made = layout.json(
            {
                "created": "2020-01-02T00:00:00Z", "history": history, **platform,
                "config": {"Cmd": ["sh"], "Env": ["A=b"], "Labels": {"word": word}},
                "rootfs": {"type": "layers", "diff_ids": [sha256(raw)]},
            },
            "application/vnd.oci.image.config.v1+json",
        )  # fmt: skip
        manifest = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": made, "layers": [layer],
        }  # fmt: skip
        layout.name(layout.json(manifest, manifest["mediaType"]), word)
    machine.ok("copy", f"oci:{layout.folder}:one", "engine:team/app:1")
    machine.ok("copy", f"oci:{layout.folder}:two", "engine:other")
    machine.ok("tag", "team/app:1", "hub.example.com:5000/team/app:release")
    machine.ok("context", "create", "win", "--platform", "windows/amd64", "--description", "Windows images")
    return machine


@pytest.mark.parametrize("name", LISTS)
def test_a_table_is_as_it_was_read_and_found_good(
    name: str, steady: Machine, golden: Callable[[str, str], None]
) -> None:
    text = steady.ok(*LISTS[name], env={"TZ": "UTC"})
    text = text.replace(str(steady.folder), "/machine")
    text = re.sub(r"\d+ years ago", "6 years ago", text)
    text = re.sub(r"(\n +(?:Python|Kernel) version: +).*", r"\1…", text)
    text = re.sub(r'("LastTagTime": )"[^"]*"', r'\1"…"', text)
    text = re.sub(r" +$", "", text, flags=re.MULTILINE)

    golden(f"tables/{name}.txt", text)
