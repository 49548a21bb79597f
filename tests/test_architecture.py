"""Who may import whom, how long a module may be, and that packages are empty: the shape of the program, enforced."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "dockyard"
MODULES = sorted(SRC.rglob("*.py"))
FREE = {"errors", "config"}
MAY_IMPORT = {
    "errors": set(),
    "config": {"oci"},
    "oci": set(),
    "dockerfile": {"oci"},
    "content": {"oci"},
    "registry": {"oci", "content"},
    "engine": {"oci", "dockerfile", "content"},
    "web": {"oci", "registry"},
    "cli": {"oci", "dockerfile", "content", "registry", "engine", "web"},
}
COMPOSITION_ROOTS = {"web/app.py": {"content"}}
FENCED = {
    "sqlalchemy": {"registry"}, "alembic": {"registry"}, "aiohttp": {"content"}, "yarl": {"content"},
    "isal": {"content"}, "zstandard": {"content"}, "starlette": {"web"}, "granian": {"web/server.py"},
    "jinja2": {"web"}, "segno": {"web"}, "argon2": {"registry/passwords.py"}, "joserfc": {"registry/signing.py"},
    "pyotp": {"registry/second_factor.py"},
    "prometheus_client": {"web/metrics.py"}, "click": {"cli"}, "rich": {"cli"}, "tomlkit": {"cli"},
    "msgspec": {"content", "registry", "engine", "web", "cli"},
    "structlog": {"content", "registry", "engine", "web", "cli"},
}  # fmt: skip


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    name, part = str(path.relative_to(SRC)), part_of(path)
    allowed = FREE | {part} | MAY_IMPORT.get(part, set()) | COMPOSITION_ROOTS.get(name, set())
    ours = {found.split(".")[1] for found in imports(path) if found.startswith("dockyard.")}
    fenced = {found.split(".")[0] for found in imports(path)} & set(FENCED)

    assert ours <= allowed
    assert not {library for library in fenced if not FENCED[library] & {part, name}}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_is_short_and_a_package_is_empty(path: Path) -> None:
    lines = path.read_text().splitlines()

    assert len(lines) <= 400
    assert path.name != "__init__.py" or not lines
