"""``make docs``: write the pages of docs/ that are made from the code. ``--check`` fails where one is out of date."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from dockyard.cli import reference
from dockyard.config import SECTIONS, environment_name
from dockyard.dockerfile import grammar, mounts
from dockyard.dockerfile.check_rules import RULES
from dockyard.web import openapi
from dockyard.web.json import api

HERE = Path(__file__).parent

SETTINGS = """# Settings

<!-- Made by `make docs` from src/dockyard/config.py; changes belong there. -->

A setting is given by a flag, by an environment variable, or in the settings file
`$XDG_CONFIG_HOME/dockyard/config.toml` (`~/.config/dockyard/config.toml`); that is also the order in which they win.
`dockyard config set KEY VALUE` writes the file and keeps its comments; `dockyard config ls` shows every value and where
it comes from; `dockyard context use` writes `context`.

Times take `s`, `m`, `h` and `d` (`12h`), sizes `kB`, `MB`, `GB` and `TB` (`20GB`), lists in the environment and on
the command line have commas, and yes or no is `true` or `false`. A key that does not exist, or a value that can't be,
is an error that names the place.
"""

TITLES = {
    "": ("The command line", "At the top of the file."),
    "build": ("Builds", "Under `[build]` in the file."),
    "serve": ("The hub", "Under `[serve]` in the file; each is also a flag of `dockyard serve`."),
}

ELSEWHERE = """## What is kept elsewhere

- **Logins** are docker's: `config.json` in `$DOCKER_CONFIG`, or `~/.docker`, with `auths`, `credsStore` and
  `credHelpers`.
- **Certificates of registries** are looked for in `/etc/docker/certs.d/HOST/` and `/etc/containers/certs.d/HOST/`.
- **Another settings file** for a hub: `dockyard serve --config FILE`, or `DOCKYARD_SERVE_CONFIG`.
- **Proxies** are taken from `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.

## An example

```toml
default-registry = "hub.example.com"
ca-file = "/etc/ssl/our-authority.pem"

[serve]
listen = "127.0.0.1:5000"
data = "/srv/dockyard"
upload-expiry = "2d"
```
"""


def settings() -> str:
    """The page of settings."""
    parts = [SETTINGS]
    for section, known in SECTIONS.items():
        title, where = TITLES[section]
        rows = ["| key | environment | default | what it does |", "|---|---|---|---|"]
        for entry in fields(known):
            key = f"{section}.{entry.name}".strip(".").replace("_", "-")
            default = str(entry.default).lower() if isinstance(entry.default, bool) else entry.default
            shown = f"`{default}`" if default not in ("", ()) else ""
            rows.append(f"| `{key}` | `{environment_name(key)}` | {shown} | {entry.metadata['help']} |")
        parts.append(f"## {title}\n\n{where}\n\n" + "\n".join(rows) + "\n")
    return "\n".join([*parts, ELSEWHERE])


DOCKERFILE = """# Dockerfile

<!-- Made by `make docs` from src/dockyard/dockerfile; changes belong there. -->

The language is docker's: a Dockerfile that docker, BuildKit or buildah takes is taken here. This page lists what there
is; [docker's own reference](https://docs.docker.com/reference/dockerfile/) tells it at length. What a build does with
it is in [Build images](../how-to/build.md).

## The file

- **Directives** stand before everything else, as comments: `` # escape=` `` makes the backtick the escape character,
  for Windows paths; `# check=skip=RULE,…;error=true` tunes `dockyard build --check`; `# syntax=…` is accepted, and
  changes nothing: there is one reader.
- **Lines** go on after the escape character; comments and, with a warning of `--check`, empty lines may stand
  between.
- **Here-documents** (`<<NAME`, `<<-NAME`, `<<"NAME"`) may follow RUN, COPY and ADD. Variables in them are expanded by
  COPY and ADD, unless the name is quoted, and by the shell for RUN.
- **Variables** come from ARG and ENV, ENV winning: `$name`, `${name}`, `${name:-word}`, `${name-word}`,
  `${name:+word}`, `${name+word}`, `${name:?message}`, `${name?message}`, `${name#pattern}`, `${name##pattern}`,
  `${name%pattern}`, `${name%%pattern}`, `${name/pattern/word}`, `${name//pattern/word}`.
- **Arguments that are always there**, once a stage declares them with ARG: `TARGETPLATFORM`, `TARGETOS`,
  `TARGETARCH`, `TARGETVARIANT`, `BUILDPLATFORM`, `BUILDOS`, `BUILDARCH`, `BUILDVARIANT`, `TARGETSTAGE`. Without ARG,
  and without a trace in the image: `HTTP_PROXY`, `HTTPS_PROXY`, `FTP_PROXY`, `NO_PROXY`, `ALL_PROXY`, in capitals or
  not.
- **`.dockerignore`**, or `NAME.dockerignore` beside a Dockerfile called NAME, leaves files out of the context: one
  pattern a line, `*`, `?`, `[…]` and `**`, `!` takes back, `#` begins a comment.

## Instructions
"""


def dockerfile() -> str:
    """The reference of Dockerfiles."""
    parts = [DOCKERFILE]
    for form in grammar.reference():
        lines = [f"### {form.keyword}", "", f"{form.meaning}.", "", "```dockerfile", *form.syntax, "```"]
        if form.flags:
            lines += ["", "| flag | what it does |", "|---|---|"]
            for flag in form.flags:
                choices = f": {', '.join(f'`{choice}`' for choice in flag.choices)}" if flag.choices else ""
                more = "; may be repeated" if flag.takes is grammar.Takes.VALUES else ""
                lines.append(f"| `{flag.syntax}` | {flag.meaning}{choices}{more} |")
        parts.append("\n".join(lines) + "\n")
    rows = [
        f"| `{kind}` | {', '.join(f'`{name}`' for name in sorted(names))} |" for kind, names in mounts.OPTIONS.items()
    ]
    table = "\n".join(["| type | options |", "|---|---|", *rows])
    parts.append(
        f"## Mounts of RUN\n\n`--mount=type=TYPE,OPTION=VALUE,…`; the type is `bind` where none is named.\n\n{table}\n"
    )
    rules = [
        f"| `{rule.name}` | {rule.meaning}{' (only where the directive names it)' if rule.experimental else ''} |"
        for rule in RULES
    ]
    checks = "\n".join(["| rule | what it asks for |", "|---|---|", *rules])
    parts.append(f"## Checks\n\n`dockyard build --check` builds nothing and looks for these:\n\n{checks}\n")
    return "\n".join(parts)


API = """# JSON API

<!-- Made by `make docs` from src/dockyard/web/json; changes belong there. -->

{about}

The hub itself answers `GET /api/v1/openapi.json` with this page as an OpenAPI document, for programs. Paths here follow
`/api/v1`. The name of a repository may have slashes, as they are or as `%2F`; what belongs to a repository follows
after `/-/`.

**Who asks** is said by `Authorization: Basic`, with a user's name and password or personal access token, or by
`Authorization: Bearer`, with a personal access token. With two-factor authentication on, only tokens do. The cookie of
a browser that is signed in counts only beside the header `X-CSRF-Token`. Without any of these, what is marked “public”
can be asked.

**An error** has the body `{{"errors": [{{"code": …, "message": …}}]}}`; [the codes](errors.md) are those of `/v2/`. The
tables name 403, 404 and 409 where they can come; the others are the same for every request.

{problems}
"""

_TOLD = {"403", "404", "409"}


def json_api() -> str:
    """The page of the JSON API."""
    document = api.document()
    problems = ["| status | when |", "|---|---|", *(f"| {status} | {what} |" for status, what in openapi.WHEN.items())]
    parts = [API.format(about=document["info"]["description"], problems="\n".join(problems))]
    nouns: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            nouns.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    for noun, rows in nouns.items():
        columns = ["| request | what it does | query, body | answer | errors |", "|---|---|---|---|---|"]
        title = "This document" if noun == "api" else noun.capitalize()
        parts.append(f"## {title}\n\n" + "\n".join([*columns, *rows]) + "\n")
    parts.append("## Bodies and answers\n\nA field with `?` may be left out.\n")
    for name, schema in document["components"]["schemas"].items():
        if name.startswith("Listing_"):
            continue
        rows = [
            f"| `{field}{'' if field in schema['required'] else '?'}` | {_type(described)} |"
            for field, described in schema["properties"].items()
        ]
        about = " ".join(schema.get("description", "").replace("``", "`").split())
        parts.append(f"### {name}\n\n{about}\n\n" + "\n".join(["| field | type |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    public = "; public" if {} in operation["security"] else ""
    takes = [f"`?{found['name']}`" for found in operation["parameters"] if found["in"] == "query"]
    if "requestBody" in operation:
        takes.append(_type(operation["requestBody"]["content"]["application/json"]["schema"]))
    status, success = next((code, found) for code, found in operation["responses"].items() if code < "300")
    kinds = [
        _type(content["schema"]) if media == "application/json" else f"`{media.partition(';')[0]}`"
        for media, content in success.get("content", {}).items()
    ]
    answer = f"{status} {' or '.join(kinds)}".strip()
    errors = ", ".join(code for code in operation["responses"] if code in _TOLD)
    cells = f"{method.upper()} `{path}`", f"{operation['summary']}{public}", ", ".join(takes), answer, errors
    return f"| {' | '.join(cells)} |"


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name.startswith("Listing_"):
            name = name.removeprefix("Listing_").removesuffix("_")
            return f"list of [{name}](#{name.lower()})"
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("format") == "date-time":
        return "time (RFC 3339)"
    bounds = [
        f"{words} {schema[key]}"
        for key, words in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"))
        if key in schema
    ]
    words = {"integer": "number", "boolean": "true or false", "null": "null", "string": "text"}
    said = words.get(schema.get("type", ""), schema.get("type", "anything"))
    more = [said, *([f"({' '.join(bounds)}{' characters' if 'maxLength' in schema else ''})"] if bounds else [])]
    return " ".join([*more, *([schema["description"]] if "description" in schema else [])])


PAGES = {
    "reference/api.md": json_api,
    "reference/dockerfile.md": dockerfile,
    "reference/cli.md": reference.page,
    "reference/settings.md": settings,
}


def main() -> int:
    """Write or check every page."""
    stale = []
    for name, make in PAGES.items():
        page, text = HERE / name, make()
        if "--check" in sys.argv[1:]:
            stale += [name] if not page.exists() or page.read_text(encoding="utf-8") != text else []
        else:
            page.parent.mkdir(exist_ok=True)
            page.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/{name} is out of date; run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
