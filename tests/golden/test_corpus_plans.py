"""The Dockerfiles of ``tests/corpus`` and the plans that are made of them: ``corpus/CASE.txt``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from building import BASE_CONFIGS, HOST
from cases import all_cases, write
from golden.test_plans import make_plans, plan_text

from dockyard.dockerfile.plan import PlanOptions
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cases import Case

# What is built of a repository's own Dockerfile is none of ours.
CASES = [case for case in all_cases() if case.where in ("folder", "tar") or case.file == "-"]
AMD64 = Platform.parse("linux/amd64")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_dockerfile_of_the_corpus_becomes_this_plan(
    case: Case, golden: Callable[[str, str], None], tmp_path: Path
) -> None:
    bases: dict[str, Any] = {f"{HOST}/{name}": config for name, config in BASE_CONFIGS.items()}
    if case.first:
        _, plans, target = make_plans(case.folder / "Dockerfile.first", options(case), bases)
        bases[case.first] = plans[target].config
    path = case.folder / "Dockerfile"
    if case.file not in ("", "-"):
        path = case.folder / case.file
        if not path.exists():
            write(tmp_path, case.context)
            path = tmp_path / case.file

    golden(f"corpus/{case.name}.txt", plan_text(path, options(case), bases))


def options(case: Case) -> PlanOptions:
    """What the command line of a case says."""
    given = list(zip(case.flags, case.flags[1:], strict=False))
    return PlanOptions(
        target=case.target,
        build_args={
            name: case.env.get(name) if value is True else str(value).replace("{site}", "http://site.test")
            for name, value in case.build_args.items()
        },
        platform=Platform.parse(case.platform) if case.platform else AMD64,
        build_platform=AMD64,
        contexts=frozenset(value.split("=")[0] for flag, value in given if flag == "--build-context"),
        labels=dict(value.split("=", 1) for flag, value in given if flag == "--label"),
        network="none",
    )
