"""Dockerfiles and the plans that are made of them: a case is a folder of ``plans/``.

``Dockerfile``; ``options.json``: target, build_args, platform, build_platform, contexts, labels, network;
``base.json``: configs by image name; ``plan.txt``: what comes of it, or the error.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dockyard.dockerfile.parser import parse
from dockyard.dockerfile.plan import PlanOptions, find_target, needed, outline, plan_stage
from dockyard.dockerfile.steps import Origin, StagePlan, Where
from dockyard.errors import Invalid
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dockyard.dockerfile.steps import StageHead, Step

PLANS = Path(__file__).parent / "plans"
CASES = sorted(path.name for path in PLANS.iterdir())


@pytest.mark.parametrize("case", CASES)
def test_a_dockerfile_becomes_this_plan(case: str, golden: Callable[[str, str], None]) -> None:
    folder = PLANS / case
    golden(f"plans/{case}/plan.txt", plan_text(folder / "Dockerfile", read_options(folder), load(folder / "base.json")))


def plan_text(path: Path, options: PlanOptions, bases: Mapping[str, Any]) -> str:
    """What a Dockerfile comes to, as text."""
    try:
        heads, plans, target = make_plans(path, options, bases)
    except Invalid as error:
        return f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else "")
    left_out = [head.name for head in heads if head.index not in plans]
    lines = [f"not needed: {', '.join(left_out)}", ""] if left_out else []
    for index, plan in plans.items():
        lines += stage_lines(plan, target=index == target)
    return "\n".join(lines)


def make_plans(
    path: Path, options: PlanOptions, bases: Mapping[str, Any]
) -> tuple[tuple[StageHead, ...], dict[int, StagePlan], int]:
    """The heads of all stages, the plans of those that the target needs, and which one that is."""
    # As bytes: newline translation would take carriage returns away.
    file = parse(path.read_bytes().decode())
    heads = outline(file, options)
    target = find_target(heads, options.target)
    plans: dict[int, StagePlan] = {}
    for index in needed(heads, target):
        base = heads[index].base
        below = plans[base.stage] if base.where is Where.STAGE else None
        config = below.config if below else None if base.where is Where.SCRATCH else bases.get(base.name, {})
        plans[index] = plan_stage(
            file, heads[index], config, options, heads=heads, base_arguments=below.arguments if below else None
        )
    return heads, plans, target


def read_options(folder: Path) -> PlanOptions:
    fields = load(folder / "options.json")
    for name in ("platform", "build_platform"):
        fields[name] = Platform.parse(fields.get(name, "linux/amd64"))
    fields["contexts"] = frozenset(fields.get("contexts", ()))
    return PlanOptions(**fields)


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def stage_lines(plan: StagePlan, *, target: bool) -> Iterator[str]:
    head = plan.head
    yield f"stage {head.index} {head.name} from {shown(head.base)} for {head.platform}{' (target)' if target else ''}"
    if head.needs:
        yield f"  known to need: {', '.join(shown(origin) for origin in head.needs)}"
    for step in plan.steps:
        yield f"  {step.location.line}: {text(step.text)}"
        yield from (f"      {line}" for line in step_lines(step))
    if plan.needs:
        yield f"  needs: {', '.join(shown(origin) for origin in plan.needs)}"
    if plan.unused_args:
        yield f"  unused: {', '.join(plan.unused_args)}"
    if plan.arguments:
        yield f"  arguments: {json.dumps(plan.arguments)}"
    yield f"  config: {json.dumps(plan.config)}"
    yield ""


def step_lines(step: Step) -> Iterator[str]:
    if step.created_by:
        yield f"history: {text(step.created_by)}"
    if step.author:
        yield f"author: {step.author}"
    if step.action:
        fields = differences(step.action)
        yield f"{type(step.action).__name__} " + " ".join(f"{name}={value}" for name, value in fields.items())


def differences(value: Any) -> dict[str, str]:
    """The fields of a value that are not as they are when nothing is said."""
    out = {}
    for each in dataclasses.fields(value):
        found = getattr(value, each.name)
        if found != each.default:
            out[each.name] = field_text(found)
    return out


def field_text(found: Any) -> str:
    if isinstance(found, Origin):
        return shown(found)
    if dataclasses.is_dataclass(found):
        return "(" + " ".join(f"{name}={value}" for name, value in differences(found).items()) + ")"
    if isinstance(found, tuple) and found and dataclasses.is_dataclass(found[0]):
        return "[" + ", ".join(field_text(each) for each in found) + "]"
    return repr(list(found)) if isinstance(found, tuple) else repr(found)


def shown(origin: Origin) -> str:
    return " ".join(
        part for part in (origin.where.value, origin.name, str(origin.stage) if origin.stage >= 0 else "") if part
    )


def text(value: str) -> str:
    return value.replace("\n", "\\n")
