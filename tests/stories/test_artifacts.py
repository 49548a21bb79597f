"""An artifact about an image is pushed, found through the image, and pulled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from images import Layout, artifact
from servers import get
from wire import held

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Hub, Machine

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("order", [("latest", "sbom"), ("sbom", "latest")], ids=["image first", "artifact first"])
def test_an_artifact_is_found_through_its_subject(
    order: tuple[str, str], hub: Hub, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(artifact(tmp_path / "made"))
    repository = f"artifacts/{order[0]}-first"
    for name in order:
        dockyard.ok("copy", f"oci:{layout.folder}:{name}", f"docker://{hub.host}/{repository}:{name}")
    subject, sbom = layout.find()["digest"], layout.find("sbom")
    index = json.loads(get(f"{hub.url}/v2/{repository}/referrers/{subject}")[2])
    other = get(f"{hub.url}/v2/{repository}/referrers/{subject}?artifactType=application/other")

    assert held(hub.host, repository, layout, "sbom", tag="sbom") == layout.reachable("sbom")
    assert [(entry["digest"], entry["artifactType"]) for entry in index["manifests"]] == [
        (sbom["digest"], "application/spdx+json")
    ]
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.created": "2026-01-01T00:00:00Z"}
    assert json.loads(other[2])["manifests"] == []
    assert other[1]["OCI-Filters-Applied"] == "artifactType"
