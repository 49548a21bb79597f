"""What ``push`` and ``pull`` print, and what they leave, with our hub and with Debian's registry."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from images import GZIP, Layout, gzipped, multi_platform, sha256, tar
from servers import DOCKYARD, Hub, Machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import DockerRegistry


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Two images that share their lower layer: ``one`` and ``two``."""
    made = Layout(tmp_path / "made")
    raws = {word: tar([(word, os.urandom(3000))]) for word in ("low", "one", "two")}
    layers = {word: made.blob(gzipped(raw), GZIP) for word, raw in raws.items()}
    for word in ("one", "two"):
        made.name(made.image([layers["low"], layers[word]], [sha256(raws["low"]), sha256(raws[word])]), word)
    return made


def layers(layout: Layout, word: str) -> list[str]:
    """The short digests of an image's layers."""
    return [digest[7:19] for digest, media_type in layout.reachable(word).items() if media_type == GZIP]


def stable(text: str) -> list[str]:
    """The lines without the order in which layers happened to come."""
    lines = text.splitlines()
    return [line for line in lines if ": " not in line[:14]] + sorted(line for line in lines if ": " in line[:14])


@pytest.fixture
def name(hub: Hub, request: pytest.FixtureRequest) -> str:
    words = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{hub.host}/cli/{words[:80].strip('-')}"


def test_a_push_prints_dockers_lines(name: str, layout: Layout, dockyard: Machine) -> None:
    dockyard.ok("copy", f"oci:{layout.folder}:one", f"engine:{name}")
    first, again = dockyard.ok("push", name).splitlines(), dockyard.ok("push", f"{name}:latest").splitlines()
    ids = layers(layout, "one")

    assert first[:2] == ["Using default tag: latest", f"The push refers to repository [{name}]"]
    assert {f"{id}: Preparing" for id in ids} | {f"{id}: Pushed" for id in ids} <= set(first)
    manifest = layout.manifest("one")
    assert first[-1] == f"latest: digest: {sha256(manifest)} size: {len(manifest)}"
    assert again[0] == f"The push refers to repository [{name}]"
    assert {f"{id}: Layer already exists" for id in ids} <= set(again)
    assert again[-1] == first[-1]
    assert not [line for line in first + again if "[=" in line or "\x1b" in line]


def test_a_layer_of_another_repository_is_mounted(name: str, layout: Layout, dockyard: Machine) -> None:
    for word in ("one", "two"):
        dockyard.ok("copy", f"oci:{layout.folder}:{word}", f"engine:{name}-{word}")
    dockyard.ok("push", f"{name}-one")
    text = dockyard.ok("push", f"{name}-two")
    low, own = layers(layout, "two")

    assert f"{low}: Mounted from {name.partition('/')[2]}-one\n" in text
    assert f"{own}: Pushed\n" in text


def test_all_tags_go_at_once_and_quietly(name: str, layout: Layout, dockyard: Machine) -> None:
    dockyard.ok("copy", f"oci:{layout.folder}:one", f"engine:{name}:b")
    dockyard.ok("tag", f"{name}:b", f"{name}:a")
    loud = dockyard.ok("push", "-a", name)

    assert "Using default tag" not in loud
    assert [line.split(":")[0] for line in loud.splitlines() if "digest: " in line] == ["a", "b"]
    assert dockyard.ok("push", "-aq", name) == f"{name}:a\n{name}:b\n"
    assert dockyard.ok("tags", name) == "a\nb\n"


def test_a_dry_run_says_what_would_go_and_sends_nothing(name: str, layout: Layout, dockyard: Machine) -> None:
    for word in ("one", "two"):
        dockyard.ok("copy", f"oci:{layout.folder}:{word}", f"engine:{name}-{word}:1")
    low, one = layers(layout, "one")
    nothing_there = dockyard.ok("push", "--dry-run", f"{name}-one:1")
    assert dockyard("tags", f"{name}-one").returncode == 1
    dockyard.ok("push", f"{name}-one:1")
    all_there = dockyard.ok("push", "--dry-run", f"{name}-one:1")
    nearby = dockyard.ok("push", "--dry-run", f"{name}-two:1")

    assert re.search(rf"{one} +\S+ +to upload: the registry does not have it", nothing_there)
    assert re.search(r"^To upload: \d\S+ in 3 blobs$", nothing_there, re.MULTILINE)
    assert re.search(rf"{low} +\S+ +known: already in the repository", all_there)
    assert all_there.endswith("To upload: 0B in 0 blobs\n")
    assert re.search(rf"{low} +\S+ +mountable: {name.partition('/')[2]}-one has it", nearby)
    assert nearby.splitlines()[-1].endswith(" in 2 blobs")


def test_a_pull_prints_dockers_lines(name: str, layout: Layout, machine: Callable[[str], Machine]) -> None:
    here, there = machine("here"), machine("there")
    here.ok("copy", f"oci:{layout.folder}:one", f"docker://{name}:latest")
    first, again = there.ok("pull", name), there.ok("pull", name)
    ids, digest = layers(layout, "one"), sha256(layout.manifest("one"))

    assert stable(first) == stable(
        f"Using default tag: latest\nlatest: Pulling from {name.partition('/')[2]}\n"
        + "".join(f"{id}: Pulling fs layer\n{id}: Download complete\n{id}: Pull complete\n" for id in ids)
        + f"Digest: {digest}\nStatus: Downloaded newer image for {name}:latest\n{name}:latest\n"
    )
    assert f"Status: Image is up to date for {name}:latest\n{name}:latest\n" in again
    assert there.ok("pull", "-q", name) == f"{name}:latest\n"
    assert there.ok("images", "--digests", "--format", "{{.Digest}}").strip() == digest


def test_a_shared_layer_already_exists_when_the_next_image_is_pulled(
    name: str, layout: Layout, machine: Callable[[str], Machine]
) -> None:
    here, there = machine("here"), machine("there")
    for word in ("one", "two"):
        here.ok("copy", f"oci:{layout.folder}:{word}", f"docker://{name}:{word}")
    there.ok("pull", f"{name}:one")
    text = there.ok("pull", f"{name}:two")
    low, own = layers(layout, "two")

    assert f"{low}: Already exists\n" in text
    assert f"{low}: Pulling fs layer" not in text
    assert f"{own}: Pull complete\n" in text


def test_a_pull_by_digest_and_of_all_tags(name: str, layout: Layout, machine: Callable[[str], Machine]) -> None:
    here, there, third = machine("here"), machine("there"), machine("third")
    for word in ("one", "two"):
        here.ok("copy", f"oci:{layout.folder}:{word}", f"docker://{name}:{word}")
    digest = sha256(layout.manifest("one"))
    by_digest = there.ok("pull", f"{name}@{digest}")
    every = third.ok("pull", "--all-tags", name)

    assert by_digest.startswith(f"{name}@{digest}: Pulling from {name.partition('/')[2]}\n")
    assert by_digest.endswith(f"{name}@{digest}\n")
    assert there.ok("images", "--digests", "--format", "{{.Tag}} {{.Digest}}") == f"<none> {digest}\n"
    assert every.endswith(f"Status: Downloaded newer image for {name}\n{name}\n")
    assert sorted(third.ok("images", "--format", "{{.Tag}}").split()) == ["one", "two"]


def test_a_platform_is_picked_named_or_all_come(name: str, tmp_path: Path, machine: Callable[[str], Machine]) -> None:
    made = multi_platform(tmp_path / "many")
    here = machine("here")
    here.ok("copy", f"oci:{made}:latest", f"docker://{name}:1")
    platform = ("images", "--format", "{{.Platform}}")

    here.ok("pull", f"{name}:1")
    assert here.ok(*platform) == "linux/amd64\n"
    here.ok("pull", "--platform", "linux/arm64", f"{name}:1")
    assert "linux/arm64\n" in here.ok(*platform)
    here.ok("pull", "--all-platforms", f"{name}:1")
    here.ok("copy", f"engine:{name}:1", f"oci:{tmp_path / 'back'}:latest")
    assert Layout(tmp_path / "back").reachable() == Layout(made).reachable()
    refused = here("pull", "--platform", "linux/s390x", f"{name}:1")
    assert refused.returncode == 1
    assert "no matching manifest for linux/s390x" in refused.stderr


def test_one_platform_of_an_index_is_pushed(name: str, tmp_path: Path, dockyard: Machine) -> None:
    made = multi_platform(tmp_path / "many")
    dockyard.ok("copy", "--all-platforms", f"oci:{made}:latest", f"engine:{name}:1")
    dockyard.ok("push", "--platform", "linux/arm64", f"{name}:1")
    shown = json.loads(dockyard.ok("manifest", "inspect", "-v", f"{name}:1"))

    assert shown["Descriptor"]["platform"]["architecture"] == "arm64"


def test_plain_names_go_to_the_default_registry(hub: Hub, layout: Layout, dockyard: Machine) -> None:
    dockyard.ok("config", "set", "default-registry", hub.host)
    dockyard.ok("copy", f"oci:{layout.folder}:one", "engine:plain-names")
    pushed = dockyard.ok("push", "plain-names")
    dockyard.ok("rmi", "plain-names")
    pulled = dockyard.ok("pull", "plain-names")

    assert f"The push refers to repository [{hub.host}/plain-names]\n" in pushed
    assert f"Status: Downloaded newer image for plain-names:latest\n{hub.host}/plain-names:latest\n" in pulled


def test_ours_and_dockers_push_to_debians_registry_alike(
    docker_registry: DockerRegistry, layout: Layout, machine: Callable[[str], Machine]
) -> None:
    here, there = machine("here"), machine("there")
    name = f"{docker_registry.host}/cli/alike:1"
    here.ok("copy", f"oci:{layout.folder}:one", f"engine:{name}")
    pushed = here.ok("push", name)
    pulled = there.ok("pull", name)

    digest = sha256(layout.manifest("one"))
    assert f"1: digest: {digest} size: " in pushed
    assert f"Digest: {digest}\n" in pulled
    assert there.ok("image", "inspect", "-f", "{{.Id}}", name).strip() == layout.image_id("one")


def test_on_a_terminal_the_bars_move_and_end_with_the_plain_result(
    name: str, layout: Layout, dockyard: Machine
) -> None:
    dockyard.ok("copy", f"oci:{layout.folder}:one", f"engine:{name}")
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [DOCKYARD, "push", name], env={**dockyard.env, "TERM": "xterm"}, stdin=other_end, stdout=other_end,
        stderr=other_end,
    ) as process:  # fmt: skip
        os.close(other_end)
        shown = b""
        while piece := _read(terminal):
            shown += piece
        assert process.wait(60) == 0
    os.close(terminal)

    text = shown.decode()
    assert "\x1b[K" in text
    for id in layers(layout, "one"):
        assert f"{id}: Pushed" in text
    assert f"latest: digest: {sha256(layout.manifest('one'))}" in text


def test_an_image_that_is_not_here_is_not_pushed(dockyard: Machine) -> None:
    done = dockyard("push", "localhost:1/nope")

    assert done.returncode == 1
    assert done.stderr == "Error: An image does not exist locally with the tag: localhost:1/nope\n"


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""
