"""``make docs``: write the pages of docs/ that are made from the code. ``--check`` fails where one is out of date."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

from dockyard.cli import reference
from dockyard.config import SECTIONS, environment_name

HERE = Path(__file__).parent

SETTINGS = """# Settings

<!-- Made by `make docs` from src/dockyard/config.py; changes belong there. -->

A setting is given by a flag, by an environment variable, or in the settings file
`$XDG_CONFIG_HOME/dockyard/config.toml` (`~/.config/dockyard/config.toml`); that is also the order in which they win.
`dockyard config set KEY VALUE` writes the file and keeps its comments; `dockyard config ls` shows every value and where
it comes from; `dockyard context use` writes `context`.

Times take `s`, `m`, `h` and `d` (`12h`), sizes `kB`, `MB`, `GB` and `TB` (`20GB`), lists in the environment and on the command line have commas, and yes or no is
`true` or `false`. A key that does not exist, or a value that can't be, is an error that names the place.
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


PAGES = {"reference/cli.md": reference.page, "reference/settings.md": settings}


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
