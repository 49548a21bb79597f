"""A hub with somebody in every role, the images that are there, and the accounts that stories make besides."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from canary import password_of
from contract.access_world import PRIVATE, PUBLIC, World, people
from images import small
from servers import must, plain_environment
from web.json.api import Api

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Hub
    from web.wire import Answer

_numbers = itertools.count(1)


class Account(Api):
    """An account, and the JSON API as it sees it; a connection for each request, so that none is left open."""

    def plain(self, *request: Any, **more: Any) -> Answer:
        try:
            return super().plain(*request, **more)
        finally:
            self.close()

    def token(self, *scopes: str) -> tuple[int, str]:
        """A new personal token: id and secret."""
        made = self.ok("POST", "/account/tokens", {"name": f"token-{next(_numbers)}", "scopes": list(scopes)})
        return made["token"]["id"], made["secret"]


@dataclass(frozen=True)
class People:
    """``acme/public:there`` and ``acme/private:there`` are pushed, by the administrator."""

    hub: Hub
    world: World

    def login(self, role: str, scope: str = "admin") -> tuple[str, str]:
        """The user name of a role, and the secret of a token with that scope."""
        return self.world.names[role], self.world.secrets[role, scope]

    @property
    def administrator(self) -> Account:
        """The hub's first administrator."""
        return Account(self.hub, self.hub.admin, self.hub.password)

    def user(self, word: str) -> Account:
        """A new account, its name made of ``word``."""
        name = f"{word}-{next(_numbers)}"
        made = Account(self.hub, name, password_of(name))
        self.administrator.ok("POST", "/users", {"name": name, "password": made.password})
        return made

    def tags(self, repository: str) -> list[str] | None:
        """The tags there, as the administrator sees them; ``None`` where nothing was pushed."""
        api = self.administrator
        answer = api.plain("GET", f"/v2/{repository}/tags/list", None, api.credentials)
        assert answer.status in (200, 404), answer
        return answer.json["tags"] if answer.status == 200 else None

    def uploads(self, repository: str) -> list[int]:
        """How the hub answered who began to send a blob there: 201 for one that it mounted, 202 for one to come."""
        requests = [json.loads(line) for line in self.hub.log.read_text().splitlines() if line.startswith("{")]
        begun = [request for request in requests if request.get("route") == "uploads"]
        return [r["status"] for r in begun if r["repository"] == repository and r["status"] < 400]


def gather(hub: Hub, folder: Path) -> People:
    """Let everybody come, and push the first images."""
    made = People(hub, asyncio.run(people(hub)))
    layout, env = small(folder / "made", "first"), plain_environment(folder / "home")
    for repository in PUBLIC, PRIVATE:
        must(
            *("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"),
            *("--dest-creds", ":".join(made.login("administrator"))),
            *(f"oci:{layout}:latest", f"docker://{hub.host}/{repository}:there"),
            env=env,
        )
    return made
