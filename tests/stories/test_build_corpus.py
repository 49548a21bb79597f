"""What dockyard builds of a Dockerfile is what a peer builds of it, file by file and field by field.

``tests/cases.py`` says what a case is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from building import Builders, Refused, show
from cases import all_cases
from servers import Containers
from trees import differences, with_changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cases import Case
    from servers import Dockerd
    from trees import Image

pytestmark = pytest.mark.slow

CASES = all_cases()
PEERS = ("docker", "buildkit", "buildah")


@pytest.fixture(scope="module")
def builders(tmp_path_factory: pytest.TempPathFactory, dockerd: Dockerd) -> Iterator[Builders]:
    """dockyard and its peers, each with the base images and nothing else."""
    containers = Containers(tmp_path_factory.mktemp("containers"))
    try:
        with Builders(tmp_path_factory.mktemp("builders"), dockerd, containers) as made:
            yield made
    finally:
        containers.close()


def expected(case: Case, builders: Builders, work: Path) -> Image:
    """What a case has to become: what its peer made, or what it says itself."""
    if case.peer == "none":
        return with_changes(builders.images[case.base], case.entries(), case.config)
    theirs = builders.peers[case.peer].build(case, work / case.peer, builders.site.url)
    wanted = with_changes(theirs, case.entries(), case.config)
    found = {what for what, *_ in differences(wanted, theirs)}
    assert not set(case.differs) - found, "the case names differences that are none"
    return wanted


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_image_is_what_a_peer_builds_or_what_the_reference_says(
    case: Case, builders: Builders, tmp_path: Path
) -> None:
    wanted = expected(case, builders, tmp_path)
    ours = builders.dockyard.build(case, tmp_path / "dockyard", builders.site.url)
    found = [f"{what}\n    ours:  {mine}\n    {case.peer}: {other}" for what, mine, other in differences(ours, wanted)]

    assert not found, "\n".join([*found, "", show(ours, builders.images[case.base])])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_compared_with_the_first_peer_that_takes_it(case: Case, builders: Builders, tmp_path: Path) -> None:
    earlier = PEERS[: PEERS.index(case.peer)] if case.peer in PEERS else PEERS
    taken = []
    for peer in earlier:
        if peer not in case.passes_over:
            try:
                builders.peers[peer].build(case, tmp_path / peer, builders.site.url)
            except Refused:
                continue
            taken.append(peer)

    assert not taken, "it takes the case, too"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_says_what_it_shows_and_a_difference_says_why(case: Case) -> None:
    said = {f"/{path}" for path in case.entries()} | set(case.config)

    assert case.says.endswith(".")
    assert case.peer in (*PEERS, "none")
    assert set(case.passes_over) <= set(PEERS)
    if case.peer == "none":
        assert case.tree or case.config
        assert not case.differs
    else:
        assert said == set(case.differs)
        assert all(why.endswith(".") for why in case.differs.values())


def test_the_corpus_covers_every_instruction() -> None:
    words = {
        line.split()[0].upper()
        for case in CASES
        for line in (case.folder / "Dockerfile").read_text().splitlines()
        if line.strip()
    }

    assert len(CASES) >= 60
    assert {
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
        "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    } <= words  # fmt: skip
