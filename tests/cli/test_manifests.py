"""``manifest``: lists made out of images in registries, without their layers, checked with docker's own command."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from images import GZIP, Layout, gzipped, sha256, tar
from servers import must

if TYPE_CHECKING:
    from pathlib import Path

    from servers import DockerRegistry, Machine

PLATFORMS = {"amd64": {"os": "linux", "architecture": "amd64"}, "arm": {"os": "linux", "architecture": "arm64"}}


@pytest.fixture
def names(docker_registry: DockerRegistry, dockyard: Machine, tmp_path: Path) -> dict[str, str]:
    """An image for each platform, each in a repository of its own; and the name that the list is to have."""
    layout = Layout(tmp_path / "made")
    prefix = f"{docker_registry.host}/{tmp_path.name.replace('_', '-').lower().strip('-')}"
    found = {"list": f"{prefix}/list:1"}
    for word, platform in PLATFORMS.items():
        raw = tar([(f"bin/{word}", word.encode() * 1000)])
        layer = layout.blob(gzipped(raw), GZIP)
        layout.name(layout.image([layer], [sha256(raw)], platform=platform), word)
        found[word] = f"{prefix}/{word}:1"
        dockyard.ok("copy", f"oci:{layout.folder}:{word}", f"docker://{found[word]}")
    return found


@pytest.fixture
def dockers(names: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same in docker's own format: ``docker manifest`` before version 23 reads no other."""
    for word in PLATFORMS:
        made = f"oci:{tmp_path / 'made'}:{word}"
        copy = ("skopeo", "--insecure-policy", "copy", "--format", "v2s2", "--dest-tls-verify=false")
        must(*copy, made, f"docker://{names[word]}")
    return names


def docker(machine: Machine, *words: str) -> Any:
    command = ["docker", "manifest", *words]
    return subprocess.run(command, env=machine.env, capture_output=True, text=True, check=True).stdout


def test_a_list_is_made_pushed_and_read_by_docker(dockers: dict[str, str], dockyard: Machine) -> None:
    created = dockyard.ok("manifest", "create", dockers["list"], dockers["amd64"], dockers["arm"])
    dockyard.ok("manifest", "annotate", "--variant", "v8", "--os-version", "1.2", dockers["list"], dockers["arm"])
    draft = json.loads(dockyard.ok("manifest", "inspect", dockers["list"]))
    pushed = dockyard.ok("manifest", "push", "--purge", dockers["list"]).splitlines()
    read = json.loads(docker(dockyard, "inspect", "--insecure", dockers["list"]))

    assert created == f"Created manifest list {dockers['list']}\n"
    assert [line.split(" ")[0] for line in pushed] == ["Pushed", "Pushed", pushed[-1]]
    assert pushed[-1].startswith("sha256:")
    assert read["manifests"] == draft["manifests"]
    assert [entry["platform"] for entry in read["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "os.version": "1.2", "variant": "v8"},
    ]
    assert "No such manifest" in dockyard("manifest", "rm", dockers["list"]).stderr


def test_the_layers_of_a_list_are_mounted_and_can_be_pulled(
    names: dict[str, str], dockyard: Machine, tmp_path: Path
) -> None:
    dockyard.ok("manifest", "create", names["list"], names["amd64"], names["arm"])
    dockyard.ok("manifest", "push", names["list"])
    dockyard.ok("copy", f"docker://{names['list']}", f"oci:{tmp_path / 'pulled'}:latest")

    children = [digest for digest in Layout(tmp_path / "pulled").reachable() if digest]
    assert set(Layout(tmp_path / "made").reachable("amd64")) <= set(children)
    assert set(Layout(tmp_path / "made").reachable("arm")) <= set(children)


def test_an_image_shows_as_docker_shows_it(dockers: dict[str, str], dockyard: Machine) -> None:
    theirs = docker(dockyard, "inspect", "--insecure", dockers["amd64"])
    verbose = json.loads(docker(dockyard, "inspect", "--insecure", "-v", dockers["amd64"]))
    ours = json.loads(dockyard.ok("manifest", "inspect", "-v", dockers["amd64"]))

    assert json.loads(dockyard.ok("manifest", "inspect", dockers["amd64"])) == json.loads(theirs)
    assert ours["Ref"] == verbose["Ref"] == dockers["amd64"]
    assert ours["Descriptor"] == verbose["Descriptor"]
    assert ours["Raw"] == verbose.get("Raw", ours["Raw"])  # which Debian's own docker does not show yet
    assert set(ours) == {*verbose, "Raw"}


def test_a_list_shows_each_image_with_verbose(names: dict[str, str], dockyard: Machine) -> None:
    dockyard.ok("manifest", "create", names["list"], names["amd64"], names["arm"])
    draft = json.loads(dockyard.ok("manifest", "inspect", "-v", names["list"]))
    one = json.loads(dockyard.ok("manifest", "inspect", names["list"], names["arm"]))
    dockyard.ok("manifest", "push", "-p", names["list"])
    pushed = json.loads(dockyard.ok("manifest", "inspect", "-v", names["list"]))

    assert [entry["Ref"] for entry in draft] == [names["amd64"], names["arm"]]
    assert [entry["Descriptor"] for entry in pushed] == [entry["Descriptor"] for entry in draft]
    assert one == draft[1]["OCIManifest"]


def test_each_part_of_a_platform_can_be_annotated(names: dict[str, str], dockyard: Machine) -> None:
    dockyard.ok("manifest", "create", names["list"], names["amd64"])
    dockyard.ok(
        "manifest", "annotate", "--os", "windows", "--arch", "arm64", "--os-version", "10.0.20348.1",
        "--os-features", "win32k,other", "--variant", "v8", names["list"], names["amd64"],
    )  # fmt: skip
    (entry,) = json.loads(dockyard.ok("manifest", "inspect", names["list"]))["manifests"]

    assert entry["platform"] == {
        "architecture": "arm64", "os": "windows", "os.version": "10.0.20348.1", "os.features": ["win32k", "other"],
        "variant": "v8",
    }  # fmt: skip


def test_a_list_that_exists_is_only_changed_with_amend(names: dict[str, str], dockyard: Machine) -> None:
    dockyard.ok("manifest", "create", names["list"], names["amd64"])
    refused = dockyard("manifest", "create", names["list"], names["arm"])
    dockyard.ok("manifest", "create", "--amend", names["list"], names["arm"], names["amd64"])
    listed = json.loads(dockyard.ok("manifest", "inspect", names["list"]))["manifests"]

    assert refused.returncode == 1
    assert "refusing to amend an existing manifest list with no --amend flag" in refused.stderr
    assert [entry["platform"]["architecture"] for entry in listed] == ["amd64", "arm64"]
    dockyard.ok("manifest", "rm", names["list"])
    assert dockyard("manifest", "inspect", names["list"]).returncode == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("create", "{list}", "{amd64}-none"), "no such manifest: {amd64}-none"),
        (("annotate", "--arch", "foo", "{list}", "{amd64}"), "has unsupported os/arch combination: linux/foo"),
        (("annotate", "--arch", "arm64", "{list}", "{arm}"), "manifest for image {arm} does not exist in {list}"),
        (("annotate", "--arch", "arm64", "{list}-none", "{arm}"), "No such manifest: {list}-none"),
        (("push", "{list}-none"), "No such manifest: {list}-none"),
        (("inspect", "{list}-none"), "no such manifest: {list}-none"),
        (("rm", "{list}-none"), "No such manifest: {list}-none"),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_refused(
    words: tuple[str, ...], says: str, names: dict[str, str], dockyard: Machine
) -> None:
    if words[0] != "create":
        dockyard.ok("manifest", "create", names["list"], names["amd64"])
    done = dockyard("manifest", *(word.format(**names) for word in words))

    assert (done.returncode, done.stdout) == (1, "")
    assert says.format(**names) in done.stderr


def test_a_list_of_images_of_another_registry_is_refused_with_a_remedy(
    names: dict[str, str], dockyard: Machine
) -> None:
    dockyard.ok("manifest", "create", "localhost:1/other:1", names["amd64"])
    done = dockyard("manifest", "push", "localhost:1/other:1")

    assert done.returncode == 1
    assert "cannot use source images from a different registry than the target image" in done.stderr
    assert "dockyard copy" in done.stderr


def test_a_broken_draft_says_which_file_it_is(names: dict[str, str], dockyard: Machine) -> None:
    dockyard.ok("manifest", "create", names["list"], names["amd64"])
    (draft,) = (dockyard.root / "manifest-lists").iterdir()
    draft.write_text('{"manifests": [1]}')
    done = dockyard("manifest", "inspect", names["list"])

    assert done.returncode == 1
    assert str(draft) in done.stderr
