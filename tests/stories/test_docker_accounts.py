"""docker at a hub with accounts: logins, every role's pushes and pulls, and what it tells who is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyotp
import pytest
from contract.access_world import PRIVATE, PUBLIC, ROLES
from images import docker_archive, small
from servers import as_root, run

from dockyard.registry.access import Right

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Dockerd
    from stories.people import People

pytestmark = pytest.mark.slow

DENIED = "denied: requested access to the resource is denied"
NOT_VALID = "unauthorized: the token or login is not valid, or no longer: log in again"


class Docker:
    """docker's client of one person: logins of their own, the daemon and its images shared with others."""

    def __init__(self, dockerd: Dockerd, folder: Path, host: str) -> None:
        self.dockerd, self.settings, self.host = dockerd, folder, host

    def __call__(self, *arguments: str | Path, input: str | None = None) -> subprocess.CompletedProcess[str]:
        return self.dockerd("--config", self.settings, *arguments, input=input)

    def login(self, name: str, secret: str) -> subprocess.CompletedProcess[str]:
        return self("login", "-u", name, "--password-stdin", self.host, input=secret)

    def push(self, image: str, name: str) -> subprocess.CompletedProcess[str]:
        """Push an image that the daemon has, by another name."""
        self.dockerd.ok("tag", image, f"{self.host}/{name}")
        return self("push", f"{self.host}/{name}")

    def pull(self, name: str) -> subprocess.CompletedProcess[str]:
        """Pull it, and forget it again."""
        pulled = self("pull", f"{self.host}/{name}")
        self("image", "rm", f"{self.host}/{name}")
        return pulled


@pytest.fixture
def docker(people: People, dockerd: Dockerd, tmp_path: Path) -> Docker:
    """A machine where nobody is logged in to the hub."""
    return Docker(dockerd, tmp_path / "docker", people.hub.host)


@pytest.fixture
def image(dockerd: Dockerd, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """An image that nobody has pushed yet, in the daemon, with a layer of its own."""
    layout = small(tmp_path / "made", request.node.name)
    name = f"accounts/{tmp_path.name.lower().replace('_', '-')}:made"
    dockerd.ok("load", "-i", docker_archive(layout, tmp_path / "image.tar", name))
    yield name
    dockerd("image", "rm", "--force", dockerd.ok("image", "inspect", "--format", "{{.Id}}", name).strip())


def test_login_takes_the_password_or_a_token_keeps_neither_and_logout_forgets_it(
    people: People, docker: Docker, image: str
) -> None:
    ada = people.user("docker-ada")
    settings = docker.settings / "config.json"
    wrong = docker.login(ada.name, "not this one")
    unknown = docker.login("docker-nobody", "not this one")
    for secret in ada.password, ada.token("write")[1]:
        right = docker.login(ada.name, secret)
        pushed = docker.push(image, f"{ada.name}/app:v1")

        assert "Login Succeeded" in right.stdout, right.stderr
        assert "digest: sha256:" in pushed.stdout, pushed.stderr
        assert "identitytoken" in settings.read_text()
        assert secret not in settings.read_text()
        assert docker("logout", docker.host).returncode == 0
    after = docker.push(image, f"{ada.name}/app:v2")

    assert (wrong.returncode, unknown.returncode, after.returncode) == (1, 1, 1)
    assert "unauthorized: incorrect user name or password" in wrong.stderr
    assert unknown.stderr == wrong.stderr
    assert after.stderr == "unauthorized: authentication required\n"
    assert people.tags(f"{ada.name}/app") == ["v1"]


def test_with_two_factors_the_password_is_refused_with_the_remedy_and_a_token_taken(
    people: People, docker: Docker, image: str
) -> None:
    ada = people.user("docker-ada")
    assert docker.login(ada.name, ada.password).returncode == 0
    _, token = ada.token("write")
    begun = ada.ok("POST", "/account/second-factor", {"password": ada.password})
    ada.ok("PUT", "/account/second-factor", {"code": pyotp.TOTP(begun["secret"]).now()})
    older = docker.push(image, f"{ada.name}/app:v1")
    refused = docker.login(ada.name, ada.password)
    taken = docker.login(ada.name, token)
    pushed = docker.push(image, f"{ada.name}/app:v2")

    # A login from before was made with one factor.
    assert (older.returncode, older.stderr.strip()) == (1, NOT_VALID)
    assert refused.returncode == 1
    assert "two-factor authentication on: use a personal access token as the password" in refused.stderr
    assert taken.returncode == 0, taken.stderr
    assert pushed.returncode == 0, pushed.stderr


def test_a_first_push_makes_the_repository_and_the_next_one_mounts_its_layer(
    people: People, docker: Docker, image: str
) -> None:
    ada = people.user("docker-ada")
    docker.login(ada.name, ada.password)
    first = docker.push(image, f"{ada.name}/one:v1")
    second = docker.push(image, f"{ada.name}/deep/er/two:v1")

    assert ": Pushed" in first.stdout, first.stderr
    assert f": Mounted from {ada.name}/one" in second.stdout, second.stderr
    made = ada.items(f"/repositories?namespace={ada.name}")
    assert [(item["name"], item["private"]) for item in made] == [
        (f"{ada.name}/deep/er/two", False),
        (f"{ada.name}/one", False),
    ]


def test_nothing_is_mounted_from_what_one_may_not_read(people: People, docker: Docker, image: str) -> None:
    ada, grace = people.user("docker-ada"), people.user("docker-grace")
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/secret", "private": True})
    docker.login(ada.name, ada.password)
    hidden = docker.push(image, f"{ada.name}/secret:v1")
    docker.login(grace.name, grace.password)
    # The daemon remembers where it sent the layer, and asks for it to be mounted from there.
    own = docker.push(image, f"{grace.name}/app:v1")

    assert ": Pushed" in hidden.stdout, hidden.stderr
    assert ": Pushed" in own.stdout, own.stderr
    assert "Mounted" not in own.stdout


def test_a_push_to_others_is_denied_at_once_and_stores_nothing(people: People, docker: Docker, image: str) -> None:
    ada, grace = people.user("docker-ada"), people.user("docker-grace")
    docker.login(ada.name, ada.password)
    nowhere = (f"{grace.name}/app", "acme/new", "docker-namespace-of-nobody/app", "docker-one-part-name", PUBLIC)
    for repository in nowhere:
        before = people.tags(repository)
        refused = docker.push(image, f"{repository}:v1")

        assert refused.returncode == 1
        assert refused.stderr == DENIED + "\n"
        assert "Retrying" not in refused.stdout
        assert people.tags(repository) == before
    assert grace.items(f"/repositories?namespace={grace.name}") == []


@pytest.mark.parametrize("role", ROLES)
def test_everybody_pulls_and_pushes_what_their_right_says(
    role: str, people: People, docker: Docker, image: str
) -> None:
    right, tag = ROLES[role], f"docker-{role}"
    assert docker.login(*people.login(role)).returncode == 0
    public = docker.pull(f"{PUBLIC}:there")
    private = docker.pull(f"{PRIVATE}:there")
    pushes = [docker.push(image, f"{repository}:{tag}") for repository in (PUBLIC, PRIVATE)]

    assert public.returncode == 0, public.stderr
    assert (private.returncode == 0) == (right >= Right.READ), private.stderr
    assert right >= Right.READ or f"{PRIVATE} not found: name unknown" in private.stderr
    for pushed, repository in zip(pushes, (PUBLIC, PRIVATE), strict=True):
        assert (pushed.returncode == 0) == (right >= Right.WRITE), pushed.stderr
        assert right >= Right.WRITE or pushed.stderr == DENIED + "\n"
        assert (tag in (people.tags(repository) or [])) == (right >= Right.WRITE)


def test_what_is_hidden_and_what_is_absent_look_the_same(people: People, docker: Docker) -> None:
    anonymous = [docker.pull(f"{name}:there").stderr for name in (PRIVATE, "acme/never-made")]
    assert docker.login(*people.login("stranger")).returncode == 0
    stranger = [docker.pull(f"{name}:there").stderr for name in (PRIVATE, "acme/never-made")]

    assert anonymous == ["Error response from daemon: unauthorized: authentication required\n"] * 2
    assert stranger[0].replace(PRIVATE, "acme/never-made") == stranger[1]
    assert "name unknown: there is no repository acme/private" in stranger[0]


def test_anybody_pulls_what_is_public_without_a_login(docker: Docker) -> None:
    pulled = docker.pull(f"{PUBLIC}:there")

    assert pulled.returncode == 0, pulled.stderr


def test_a_robot_pushes_to_its_repository_alone(people: People, docker: Docker, image: str) -> None:
    ada = people.user("docker-ada")
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/app", "private": True})
    grants = [{"repository": f"{ada.name}/app", "right": "write"}]
    robot = ada.ok("POST", "/robots", {"namespace": ada.name, "name": "ci", "grants": grants})
    logged_in = docker.login(f"{ada.name}+ci", robot["secret"])
    own, other = docker.push(image, f"{ada.name}/app:v1"), docker.push(image, f"{ada.name}/other:v1")
    pulled, hidden = docker.pull(f"{ada.name}/app:v1"), docker.pull(f"{PRIVATE}:there")

    assert logged_in.returncode == 0, logged_in.stderr
    assert own.returncode == 0, own.stderr
    assert pulled.returncode == 0, pulled.stderr
    assert other.stderr == DENIED + "\n"
    assert "name unknown" in hidden.stderr


def test_names_of_one_part_are_pushed_by_administrators_and_pulled_by_all(
    people: People, docker: Docker, image: str
) -> None:
    assert docker.login(*people.login("administrator")).returncode == 0
    pushed = docker.push(image, "docker-tweet-app:v1")
    docker("logout", docker.host)
    pulled = docker.pull("docker-tweet-app:v1")

    assert pushed.returncode == 0, pushed.stderr
    assert pulled.returncode == 0, pulled.stderr


def test_a_revoked_token_and_a_blocked_user_push_and_pull_no_more(people: People, docker: Docker, image: str) -> None:
    ada = people.user("docker-ada")
    number, secret = ada.token("write")
    docker.login(ada.name, secret)
    pushed = docker.push(image, f"{ada.name}/app:v1")
    ada.ok("DELETE", f"/account/tokens/{number}")
    revoked = docker.push(image, f"{ada.name}/app:v2")
    docker.login(ada.name, ada.password)
    again = docker.push(image, f"{ada.name}/app:v2")
    people.administrator.ok("PATCH", f"/users/{ada.name}", {"blocked": True})
    blocked, pulled = docker.push(image, f"{ada.name}/app:v3"), docker.pull(f"{ada.name}/app:v2")
    no_login = docker.login(ada.name, ada.password)

    assert (pushed.returncode, again.returncode) == (0, 0), pushed.stderr + again.stderr
    assert (revoked.returncode, revoked.stderr.strip()) == (1, NOT_VALID)
    assert (blocked.returncode, blocked.stderr.strip()) == (1, NOT_VALID)
    assert NOT_VALID in pulled.stderr
    assert "incorrect user name or password" in no_login.stderr
    assert people.tags(f"{ada.name}/app") == ["v1", "v2"]


def test_the_manifest_commands_use_the_login(people: People, docker: Docker, image: str) -> None:
    ada, host = people.user("docker-ada"), people.hub.host
    ada.ok("PATCH", "/account", {"default_private": True})
    docker.login(ada.name, ada.password)
    docker.push(image, f"{ada.name}/app:v1")
    answers = []
    for namespace in ada.name, "acme":
        docker("manifest", "create", "--insecure", f"{host}/{namespace}/list:v1", f"{host}/{ada.name}/app:v1")
        answers.append(docker("manifest", "push", "--insecure", f"{host}/{namespace}/list:v1"))
    own, others = answers
    inspected = docker("manifest", "inspect", "--insecure", f"{host}/{ada.name}/list:v1")
    hidden = docker("manifest", "inspect", "--insecure", f"{host}/{PRIVATE}:there")

    assert own.returncode == 0, own.stderr
    assert "manifest.list.v2+json" in inspected.stdout, inspected.stderr
    assert others.returncode == 1
    assert DENIED in others.stderr
    assert "no such manifest" in hidden.stderr


def test_containerd_pulls_and_pushes_with_a_password(people: People, docker: Docker, image: str) -> None:
    ada, host = people.user("docker-ada"), people.hub.host
    ada.ok("PATCH", "/account", {"default_private": True})
    docker.login(ada.name, ada.password)
    docker.push(image, f"{ada.name}/app:v1")
    there = f"{host}/{ada.name}/app:v1"

    def ctr(*arguments: str) -> subprocess.CompletedProcess[str]:
        """Run containerd's own client at the daemon's containerd, as Kubernetes would."""
        return run(*as_root("ctr", "--address", f"{docker.dockerd.run}/exec/containerd/containerd.sock", *arguments))

    own = ("--plain-http", "--user", f"{ada.name}:{ada.password}")
    nobody = ctr("images", "pull", "--plain-http", there)
    pulled = ctr("images", "pull", *own, there)
    pushes = []
    for repository in f"{ada.name}/mounted", "acme/new":
        ctr("images", "tag", there, f"{host}/{repository}:v1")
        pushes.append(ctr("images", "push", *own, f"{host}/{repository}:v1"))
    hidden = ctr("images", "pull", *own, f"{host}/{PRIVATE}:there")

    assert nobody.returncode == 1
    assert "401 Unauthorized" in nobody.stderr
    assert pulled.returncode == 0, pulled.stderr
    assert pushes[0].returncode == 0, pushes[0].stderr
    assert people.uploads(f"{ada.name}/mounted") == [201, 201]
    assert "403 Forbidden" in pushes[1].stderr
    assert "not found" in hidden.stderr
