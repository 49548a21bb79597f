"""Go templates over plain data: what ``--format`` means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dockyard.cli import template_functions
from dockyard.cli.template_functions import FUNCTIONS, MISSING, Missing, Record, is_true, show
from dockyard.cli.template_parser import Access, Block, Call, Jump, Literal, Pipeline, parse_template, problem
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dockyard.cli.template_parser import Node, Operand

__all__ = ["Record", "Template"]

Scope = list[dict[str, Any]]
"""Variables, the innermost block's last."""


class Template:
    """A template that was read once and can be filled often.

    Data is ``str``, numbers, ``bool``, ``None``, lists and dicts. A key that a plain dict lacks prints
    ``<no value>``, as of a Go map; asking a :class:`Record` for it raises Invalid, as of a Go struct.
    """

    def __init__(self, text: str) -> None:
        self.nodes = parse_template(text)

    def fill(self, data: Any, functions: Mapping[str, template_functions.Function] = FUNCTIONS) -> str:
        """Return the text for ``data``; raise Invalid for unknown fields and functions, and for wrong arguments."""
        out: list[str] = []
        _Run(functions, out).block(self.nodes, data, [{"$": data}])
        return "".join(out)


class _Jumped(Exception):
    """``break`` or ``continue`` on its way to its ``range``."""


class _Run:
    """One filling: the functions, and the pieces of text so far."""

    def __init__(self, functions: Mapping[str, template_functions.Function], out: list[str]) -> None:
        self.functions = functions
        self.out = out

    def block(self, nodes: Sequence[Node], dot: Any, scope: Scope) -> None:
        for node in nodes:
            if isinstance(node, str):
                self.out.append(node)
            elif isinstance(node, Pipeline):
                value = self.pipeline(node, dot, scope)
                if not node.declares:
                    self.out.append(show(value))
            elif isinstance(node, Jump):
                raise _Jumped(node.keyword)
            else:
                self.branch(node, dot, scope)

    def branch(self, node: Block, dot: Any, scope: Scope) -> None:
        inner: Scope = [*scope, {}]
        if node.keyword == "range":
            self.range(node, dot, inner)
            return
        value = self.pipeline(node.pipeline, dot, inner)
        if is_true(value):
            self.block(node.body, value if node.keyword == "with" else dot, inner)
        else:
            self.block(node.otherwise, dot, inner)

    def range(self, node: Block, dot: Any, scope: Scope) -> None:
        names = node.pipeline.declares
        items = list(_items(self.pipeline(Pipeline(node.pipeline.commands), dot, scope)))
        for key, value in items:
            both = (value,) if len(names) == 1 else (key, value)
            scope[-1].update(zip(names, both, strict=False))
            try:
                self.block(node.body, value, [*scope, {}])
            except _Jumped as jump:
                if str(jump) == "break":
                    break
        if not items:
            self.block(node.otherwise, dot, scope)

    def pipeline(self, node: Pipeline, dot: Any, scope: Scope) -> Any:
        value = self.operand(node.commands[0], dot, scope)
        for command in node.commands[1:]:
            if not isinstance(command, Call):
                raise problem("non executable command in pipeline")
            value = self.call(command, dot, scope, (value,))
        for name in node.declares:
            if node.assigns:
                _holder(scope, name)[name] = value
            else:
                scope[-1][name] = value
        return value

    def operand(self, node: Operand, dot: Any, scope: Scope) -> Any:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Call):
            return self.call(node, dot, scope, ())
        if isinstance(node, Pipeline):
            return self.pipeline(node, dot, scope)
        return self.access(node, dot, scope)

    def access(self, node: Access, dot: Any, scope: Scope) -> Any:
        if isinstance(node.start, Pipeline):
            value = self.pipeline(node.start, dot, scope)
        else:
            value = dot if node.start == "." else _holder(scope, node.start)[node.start]
        for position, name in enumerate(node.fields):
            where = "." + ".".join(node.fields[: position + 1])
            if isinstance(value, Record) and name not in value:
                raise problem(f'executing "" at <{where}>: can\'t evaluate field {name}; known: {", ".join(value)}')
            if value is None or isinstance(value, Missing):
                value = MISSING
            elif isinstance(value, dict):
                value = value.get(name, MISSING)
            else:
                raise problem(f'executing "" at <{where}>: can\'t evaluate field {name} in {show(value)!r}')
        return value

    def call(self, node: Call, dot: Any, scope: Scope, last: tuple[Any, ...]) -> Any:
        if node.function in ("and", "or"):
            return self.choose(node, dot, scope, last)
        function = self.functions.get(node.function)
        if function is None:
            raise problem(f'function "{node.function}" not defined')
        values = [*(self.operand(argument, dot, scope) for argument in node.arguments), *last]
        try:
            return function(*values)
        except TypeError:
            raise problem(f"wrong number of args for {node.function}: got {len(values)}") from None
        except Invalid as error:
            raise problem(f'executing "" at <{node.function}>: {error.message}') from None

    def choose(self, node: Call, dot: Any, scope: Scope, last: tuple[Any, ...]) -> Any:
        """``and`` stops at the first empty argument, ``or`` at the first that is not."""
        value: Any = MISSING
        if not node.arguments and not last:
            raise problem(f"wrong number of args for {node.function}: want at least 1 got 0")
        for argument in node.arguments:
            value = self.operand(argument, dot, scope)
            if is_true(value) == (node.function == "or"):
                return value
        return last[0] if last else value


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    """What ``range`` goes through: lists by position, maps by sorted key, numbers from nought."""
    if isinstance(value, dict):
        yield from sorted(value.items())
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from ((number, number) for number in range(value))
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif value is not None and not isinstance(value, Missing):
        raise problem(f"range can't iterate over {show(value)}")


def _holder(scope: Scope, name: str) -> dict[str, Any]:
    for names in reversed(scope):
        if name in names:
            return names
    raise problem(f'undefined variable "{name}"')
