"""``tags`` and ``tags rm``: with our hub, and with a registry that can't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from images import GZIP, Layout, gzipped, sha256, tar
from servers import DOCKYARD, run

if TYPE_CHECKING:
    from servers import DockerRegistry, Hub, Machine


@pytest.fixture
def layout(dockyard: Machine) -> Layout:
    made = Layout(dockyard.folder / "made")
    raw = tar([("file", b"content")])
    made.name(made.image([made.blob(gzipped(raw), GZIP)], [sha256(raw)]))
    return made


def push(dockyard: Machine, layout: Layout, *names: str) -> None:
    for name in names:
        dockyard.ok("copy", "-q", f"oci:{layout.folder}:latest", f"docker://{name}")


def test_a_tag_is_taken_away_and_what_it_named_stays_under_others(hub: Hub, layout: Layout, dockyard: Machine) -> None:
    name = f"{hub.host}/tags-rm/app"
    push(dockyard, layout, *(f"{name}:{tag}" for tag in ("one", "two", "three")))
    removed = dockyard.ok("tags", "rm", f"{name}:one", f"{name}:two", "--insecure")

    assert removed == f"{name}:one\n{name}:two\n"
    assert dockyard.ok("tags", name) == "three\n"
    assert dockyard.ok("tags", "--format", "json", name) == '{"Name":"three"}\n'
    assert dockyard.ok("tags", "--format", "table", name) == "NAME\nthree\n"
    assert dockyard.ok("tags", "rm", "--format", "{{.Name}}", f"{name}:three") == f"{name}:three\n"


def test_a_tag_that_is_not_there_is_named_and_the_others_go(hub: Hub, layout: Layout, dockyard: Machine) -> None:
    name = f"{hub.host}/tags-rm/some"
    push(dockyard, layout, f"{name}:one", f"{name}:two")
    done = dockyard("tags", "rm", f"{name}:one", f"{name}:none", f"{name}:two")

    assert done.returncode == 1
    assert done.stdout == f"{name}:one\n{name}:two\n"
    assert done.stderr == f"Error: no such tag: {name}:none\n"


def test_plain_names_are_those_of_the_hub_that_is_named(hub: Hub, layout: Layout, dockyard: Machine) -> None:
    push(dockyard, layout, f"{hub.host}/tags-rm/named:one", f"{hub.host}/tags-rm/named:two")
    listed = dockyard.ok("tags", "--hub", hub.url, "tags-rm/named")
    removed = dockyard.ok("tags", "rm", "--hub", hub.host, "tags-rm/named:one")
    elsewhere = dockyard("tags", "--hub", hub.host, "other.example/tags-rm/named")

    assert listed == "one\ntwo\n"
    assert removed == "tags-rm/named:one\n"
    assert dockyard.ok("tags", "--hub", hub.url, "tags-rm/named") == "two\n"
    assert elsewhere.returncode == 1
    assert f"belongs to other.example, and --hub says {hub.host}" in elsewhere.stderr


def test_docker_registry_can_not_and_is_said_so(
    docker_registry: DockerRegistry, layout: Layout, dockyard: Machine
) -> None:
    name = f"{docker_registry.host}/tags-rm/app"
    push(dockyard, layout, f"{name}:one")
    done = dockyard("tags", "rm", f"{name}:one")

    assert (done.returncode, done.stdout) == (1, "")
    assert f"Error: {docker_registry.host} can't remove a tag by its name\n" in done.stderr
    assert dockyard.ok("tags", name) == "one\n"


def test_a_repository_that_is_called_rm_is_still_listed(hub: Hub, layout: Layout, dockyard: Machine) -> None:
    push(dockyard, layout, f"{hub.host}/rm:one")
    env = dockyard.env | {"DOCKYARD_DEFAULT_REGISTRY": hub.host}

    assert run(DOCKYARD, "tags", "rm", env=env).stdout == "one\n"
    assert run(DOCKYARD, "tags", "rm", "rm:one", env=env).stdout == "rm:one\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("tags", "rm", "h:1/a"), "'h:1/a' names a repository, not a tag\nTry: dockyard tags rm h:1/a:TAG"),
        (("tags", "rm", f"h:1/a@sha256:{'0' * 64}"), "names an image by its digest, not a tag"),
        (("tags", "h:1/a", "h:1/b"), "'dockyard tags' requires 1 argument"),
        (("tags",), "'dockyard tags' requires at least 1 argument"),
    ],
)
def test_what_names_no_tag_removes_nothing(words: tuple[str, ...], says: str, dockyard: Machine) -> None:
    done = dockyard(*words)

    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
