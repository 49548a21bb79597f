"""Lists and documents as ``--format`` asks for them: tables, JSON and templates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockyard.cli.failures import plain, plain_json
from dockyard.cli.tables import align

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


LIST_FORMAT = (
    "Format of the output: 'table' (columns with headers, the default), 'table TEMPLATE', 'json', or 'TEMPLATE', "
    "where TEMPLATE is a Go template over the fields of a line"
)
DOCUMENT_FORMAT = "Format of the output: 'json' (in one line) or a Go template over the fields of the document"


@dataclass(frozen=True, slots=True)
class Columns:
    """What a list can show: each field's header, and the fields of the plain table, in order."""

    headers: Mapping[str, str]
    shown: Sequence[str]


def lines(rows: Iterable[Mapping[str, Any]], columns: Columns, form: str = "") -> str:
    """Return the list as text that ends with a newline, or ``""``.

    ``form`` is empty or ``table``, ``table TEMPLATE``, ``json`` or a template; raise Invalid for a broken one.
    """
    if form in ("", "table"):
        texts = ["\t".join(columns.headers[field] for field in columns.shown)]
        texts += ["\t".join(plain(str(row[field])) for field in columns.shown) for row in rows]
        return align("\n".join(texts)) + "\n"
    from dockyard.cli.template_functions import HEADER_FUNCTIONS, Row
    from dockyard.cli.templates import Template

    is_table = form.startswith("table ")
    body = "{{json .}}" if form == "json" else form.removeprefix("table ").strip() if is_table else form
    template = Template(body.replace("\\t", "\t").replace("\\n", "\n"))
    filled = [template.fill(Row(row)) for row in rows]
    if is_table:
        filled.insert(0, template.fill(dict(columns.headers), HEADER_FUNCTIONS))
        return align("\n".join(filled)) + "\n"
    return "".join(text + "\n" for text in filled)


def documents(found: Sequence[Any], form: str = "", *, escape: bool = False) -> str:
    """Return ``inspect``'s output: an indented JSON list, or one line for each document by ``form``."""
    if not form:
        text = plain_json(json.dumps(found, indent=4, ensure_ascii=False))
        return (text.replace("<", "\\u003c").replace(">", "\\u003e") if escape else text) + "\n"
    from dockyard.cli.template_functions import dump

    if form == "json":
        return dump(list(found)) + "\n"
    return "".join(fill(document, form) + "\n" for document in found)


def fill(document: Any, form: str) -> str:
    """One document by a template, whose known fields are the document's; ``json`` is all of it in a line."""
    from dockyard.cli.template_functions import Record, dump
    from dockyard.cli.templates import Template

    if form == "json":
        return dump(document)
    return Template(form).fill(_records(document, Record))


def _records(value: Any, record: type[dict[str, Any]], name: str = "") -> Any:
    """Turn JSON objects into records, whose fields are known, except those that map what people chose."""
    if isinstance(value, dict):
        inner = {key: _records(item, record, key) for key, item in value.items()}
        return inner if name in _MAPS else record(inner)
    return [_records(item, record) for item in value] if isinstance(value, list) else value


_MAPS = frozenset({"Labels", "Annotations", "annotations", "ExposedPorts", "Volumes", "Data", "Components", "Metadata"})
