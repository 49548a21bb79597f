"""The documentation says what is there: everything has its place in it, and what it shows works."""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import shlex
import signal
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
from cli_tree import TREE
from servers import DOCKYARD, free_port, plain_environment

from dockyard import errors
from dockyard.cli.program import NAME
from dockyard.config import SECTIONS
from dockyard.web import token
from dockyard.web.metrics import ROUTES, Metrics
from dockyard.web.pages import site
from dockyard.web.routing import Kind
from dockyard.web.v2 import HANDLERS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PATHS = {
    Kind.BASE: "/v2/",
    Kind.CATALOG: "/v2/_catalog",
    Kind.TAGS: "/v2/<name>/tags/list",
    Kind.MANIFEST: "/v2/<name>/manifests/<target>",
    Kind.BLOB: "/v2/<name>/blobs/<digest>",
    Kind.UPLOADS: "/v2/<name>/blobs/uploads/",
    Kind.UPLOAD: "/v2/<name>/blobs/uploads/<session>",
    Kind.REFERRERS: "/v2/<name>/referrers/<digest>",
}
"""How the page of routes writes the paths of each kind."""


def page(name: str) -> str:
    return (DOCS / name).read_text()


def rows(name: str) -> list[list[str]]:
    """The cells of every table row of a page."""
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in page(name).splitlines()
        if line.startswith("| ")
    ]


def snippets(path: Path) -> list[str]:
    """The blocks of shell of a page."""
    return re.findall(r"^ *```sh\n(.*?)^ *```$", path.read_text(), re.MULTILINE | re.DOTALL)


def ours(path: Path) -> list[list[str]]:
    """The words of each of our commands in the blocks of shell of a page."""
    lines = [line for block in snippets(path) for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[line.index(NAME) + 1 :] for line in words if NAME in line[:3]]


def public(kind: type[errors.DockyardError]) -> set[type[errors.DockyardError]]:
    return {kind}.union(*(public(leaf) for leaf in kind.__subclasses__() if leaf.__module__ == errors.__name__))


def test_the_generated_pages_are_what_the_code_says() -> None:
    pages = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]

    for name, make in pages.items():
        assert page(name) == make(), f"docs/{name} is out of date: make docs"


def test_every_setting_of_the_hub_is_a_flag_of_serve() -> None:
    flags = {parameter.name for parameter in TREE["serve",].params}

    assert {name for name in SECTIONS["serve"].__dataclass_fields__} <= flags


def test_every_error_code_is_explained() -> None:
    listed = {row[0] for row in rows("reference/errors.md")[1:] if row[0].isupper()}
    raised = {error.code for error in public(errors.DockyardError)}
    answered = {
        code
        for path in (ROOT / "src/dockyard/web").glob("*.py")
        for code in re.findall(r'error_response\(\s*\d+, "([A-Z_]+)"', path.read_text())
    }

    assert listed == raised | answered


def test_every_route_is_on_the_page_of_routes() -> None:
    listed = {(row[0], row[1]) for row in rows("reference/http.md")}
    answered = {(method, PATHS[kind]) for kind, methods in HANDLERS.items() for method in methods if method != "HEAD"}
    answered |= {(method, "/token") for method in token.HANDLERS}
    answered |= {(method, page.path) for page in site.PAGES for method in page.methods}
    answered |= {("GET", "/static/<name>")}
    answered |= {(method, page.path) for page in site.PAGES for method in page.methods}
    answered |= {("GET", "/static/<name>")}
    others = set(re.findall(r'Route\("(/\w*)"', (ROOT / "src/dockyard/web/app.py").read_text()))

    assert others
    assert listed - {("method", "path")} == answered | {("GET", path) for path in others}


def test_every_metric_and_its_labels_are_explained(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    metrics.count("GET", "blob", 200, 0.1)
    families = re.findall(r"^# TYPE (\S+)", metrics.exposition().decode(), re.MULTILINE)
    explained = page("reference/metrics.md")

    assert len(families) > 3
    for name in (*families, *ROUTES):
        assert f"`{name}`" in explained


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = page("dependencies.md")
    table = {row[0].split()[0] for row in rows("dependencies.md")[1:]}

    assert table == {re.split(r"[\[<>=]", line)[0] for line in project["dependencies"]}
    for line in project["optional-dependencies"]["test"]:
        name = re.split(r"[\[<>=]", line)[0]
        assert name.removeprefix("pytest-") in reasons or name.startswith("types-")


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = page("README.md") + page("adr/README.md")

    for path in DOCS.rglob("*.md"):
        assert path.parent == DOCS or path.name == "README.md" or f"{path.name})" in contents


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#]+)", text)

    for target in targets:
        assert target.startswith("https://") or (path.parent / target).exists()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_that_is_shown_exists_with_its_flags(path: Path) -> None:
    for words in ours(path):
        line = [word for word in words if word not in ("--context", "windows", "&")]
        length = max(n for n in range(len(line) + 1) if tuple(line[:n]) in TREE)
        known = {flag for parameter in TREE[tuple(line[:length])].params for flag in parameter.opts}
        flags = {word.partition("=")[0] for word in line[length:] if word.startswith("--")}

        assert isinstance(TREE[tuple(line[:length])], click.Command) and length, words
        assert flags <= known, words


def test_a_module_that_the_map_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`((?:content|registry|engine|web|cli|oci)/[a-z0-9_*]+)/?`", text)

    assert len(named) > 10
    for name in named:
        assert [*(ROOT / "src/dockyard").glob(f"{name}.py"), *(ROOT / "src/dockyard").glob(name)], name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/tutorial/quick-start.md"])
def test_what_the_page_shows_works(name: str, tmp_path: Path) -> None:
    """The blocks run in one shell, as a reader would type them; only the port is another, as 5000 may be taken."""
    port = str(free_port())
    shown = [block for block in snippets(ROOT / name) if DOCKYARD.name in block or "curl" in block or "tar" in block]
    script = "\n".join(shown).replace("5000", port).replace("kill %1", "")
    # A reader sees the address before going on; here the shell waits until the hub answers.
    serving = next(line for line in script.splitlines() if " serve " in line)
    waiting = f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>&-; do sleep 0.1; done"
    default = "" if "--listen" in serving else f" --listen 127.0.0.1:{port}"
    script = script.replace(serving, f"{serving.split(' &')[0]}{default} &\n{waiting}")
    (tmp_path / "files").mkdir()
    (tmp_path / "files/hello").write_text("hello")
    env = plain_environment(tmp_path / "home")
    env["PATH"] = f"{DOCKYARD.parent}:{env['PATH']}"
    prepare = "tar -C files -cf rootfs.tar .\n"
    command = ["bash", "-euo", "pipefail", "-c", prepare + script + "\nkill -TERM $!; wait $!"]
    output = tmp_path / "output"
    with (
        output.open("wb") as out,
        subprocess.Popen(command, cwd=tmp_path, env=env, stdout=out, stderr=out, start_new_session=True) as shell,
    ):
        try:
            code = shell.wait(120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)

    assert code == 0, output.read_text()
    assert "digest: sha256:" in output.read_text()


@pytest.mark.slow
def test_the_builders_guide_works(tmp_path: Path) -> None:
    """Its blocks run in one shell, one after the other."""
    env = plain_environment(tmp_path / "home")
    env["PATH"] = f"{DOCKYARD.parent}:{env['PATH']}"
    script = "\n".join(snippets(DOCS / "how-to/build.md"))
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=env, capture_output=True)

    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "app/files/hello").read_text() == "hello\n"


def test_every_test_that_a_page_names_is_there() -> None:
    written = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    modules = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    named = {(page.name, name) for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())}

    assert len(named) > 100
    assert not {(where, name) for where, name in named if name not in written | modules}
