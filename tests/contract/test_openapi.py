"""The JSON API keeps what its document says: schemathesis asks for everything in it, rightly and wrongly.

``openapi.toml`` and ``openapi_hooks.py`` say what it is told besides the document.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from canary import PASSWORD
from servers import Hub, run
from web.json.api import Api, bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
USUAL = 5
EXAMPLES = 200 if os.environ.get("SOAK") else USUAL
"""Requests of each kind to each operation, besides the few hundred that try the edges of every schema."""


@dataclass(frozen=True)
class Role:
    """Who asks, and the token that shows it; ``0`` and nothing for nobody."""

    token: int = 0
    secret: str = ""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub in which there is one of everything."""
    data = tmp_path_factory.mktemp("openapi") / "data"
    server = Hub(data, "--trusted-proxies", "127.0.0.1", "--insecure-http", auth="accounts")
    with Api(server, server.admin, server.password) as boss:
        for name in ("ada", "bob"):
            boss.ok("POST", "/users", {"name": name, "password": PASSWORD})
    with Api(server, "ada", PASSWORD) as ada:
        ada.with_token()
        ada.ok("POST", "/orgs", {"name": "acme"})
        ada.ok("PUT", "/orgs/acme/members/bob", {})
        ada.ok("POST", "/orgs/acme/teams", {"name": "crew"})
        ada.ok("PUT", "/orgs/acme/teams/crew/members/bob")
        ada.ok("POST", "/repositories", {"name": "acme/app", "private": True, "description": "an app"})
        ada.ok("POST", "/robots", {"namespace": "acme", "name": "ci", "grants": []})
    yield server
    assert server.stop() == 0


def role_of(hub: Hub, name: str) -> Role:
    if name == "nobody":
        return Role()
    with Api(hub, name, hub.password if name == hub.admin else PASSWORD) as api:
        made = api.ok("POST", "/account/tokens", {"name": "schemathesis", "scopes": ["admin"]})
    return Role(made["token"]["id"], made["secret"])


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(0 if EXAMPLES > USUAL else 300)
@pytest.mark.parametrize(
    "name, phases",
    [("boss", "coverage,fuzzing,stateful"), ("ada", "fuzzing,stateful"), ("nobody", "fuzzing")],
    ids=["administrator", "user", "anonymous"],
)
def test_no_request_gets_an_answer_that_the_document_does_not_have(
    hub: Hub, tmp_path: Path, name: str, phases: str
) -> None:
    role = role_of(hub, name)
    who = ["--header", f"Authorization: Bearer {role.secret}"] if role.secret else []
    document = f"{hub.url}/api/v1/openapi.json"
    env = dict(os.environ) | {"PYTHONPATH": str(HERE), "DOCKYARD_TOKEN": str(role.token), "HOME": str(tmp_path)}
    # It leaves a folder where it runs.
    command = [
        "env",
        "-C",
        tmp_path,
        SCHEMATHESIS,
        "--config-file",
        HERE / "openapi.toml",
        "run",
        document,
        "--checks",
        "all",
        *who,
    ]
    command += ["--phases", phases, "--max-examples", str(EXAMPLES), "--no-color"]
    if EXAMPLES == USUAL:
        command += ["--seed", "1"]  # the same requests every time; `make soak` takes others
    done = run(*command, env=env, timeout=7200)

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "Traceback" not in hub.log.read_text()
    if role.secret:
        with Api(hub) as api:
            api.credentials = bearer(role.secret)
            assert api("GET", "/account").status == 200, "the run has lost its own token"
