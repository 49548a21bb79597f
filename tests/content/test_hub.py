"""The client of a hub's JSON API: against our hub with accounts, and against registries that are no hub."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from content.fake_registry import FakeRegistry, error, fake_registry
from servers import DockerRegistry, Hub

from dockyard.content.credentials import FixedLogin, Login
from dockyard.content.hub import HubClient, path, repository_path
from dockyard.errors import Conflict, Invalid, NameInvalid, NameUnknown, NotFound, Unauthenticated, Unavailable
from dockyard.oci.reference import parse_repository

Make = Callable[..., Any]
ADA = FixedLogin(Login("ada", "s3cret"))


async def asks_for_a_login(request: web.Request) -> web.StreamResponse | None:
    """As a hub does it."""
    if request.path != "/api/v1/account" or "Authorization" in request.headers:
        return None
    return error(401, "UNAUTHORIZED", "authentication required", **{"WWW-Authenticate": 'Basic realm="dockyard"'})


@pytest.fixture
def client(accounts_hub: Hub, client_of: Make) -> Make:
    """``client(login)``: the API of the hub with accounts."""

    async def make(login: Login | None = None) -> HubClient:
        return HubClient(await client_of(accounts_hub.host, credentials=FixedLogin(login)))

    return make


@pytest.fixture
def boss(accounts_hub: Hub) -> Login:
    """The administrator's login."""
    return Login(accounts_hub.admin, accounts_hub.password)


async def test_a_password_is_enough(client: Make, boss: Login) -> None:
    assert (await (await client(boss)).ask("GET", "/account"))["name"] == boss.username


async def test_what_a_login_was_traded_for_is_enough(client: Make, client_of: Make, boss: Login) -> None:
    registry = await client_of((await client(boss)).host, credentials=FixedLogin(boss))
    kept = await registry.login()

    assert kept is not None and kept.identity_token and not kept.password
    assert (await (await client(kept)).ask("GET", "/account"))["name"] == boss.username


async def test_who_is_refused_hears_where_to_log_in(client: Make, boss: Login) -> None:
    for login in (None, Login(boss.username, "wrong"), Login("", identity_token="dyl_" + "0" * 40)):
        hub = await client(login)
        with pytest.raises(Unauthenticated) as refused:
            await hub.ask("GET", "/account")

        assert refused.value.hint == f"Log in: dockyard login {hub.host}"


async def test_what_is_public_needs_no_login(client: Make, boss: Login) -> None:
    await (await client(boss)).ask("POST", "/repositories", {"name": "client-public"})

    assert [item["name"] async for item in (await client()).items("/repositories", q="client-public")] == [
        "client-public"
    ]


async def test_a_list_goes_on_over_its_pages(client: Make, boss: Login) -> None:
    hub = await client(boss)
    names = [f"client-pages/n{number}" for number in range(5)]
    for name in names:
        await hub.ask("POST", "/repositories", {"name": name})

    assert [item["name"] async for item in hub.items("/repositories", namespace="client-pages", n="2")] == names


async def test_what_the_hub_refuses_is_of_its_kind(client: Make, boss: Login) -> None:
    hub = await client(boss)
    await hub.ask("POST", "/repositories", {"name": "client-kinds"})

    with pytest.raises(Conflict, match=r"^there is a repository client-kinds already$"):
        await hub.ask("POST", "/repositories", {"name": "client-kinds"})
    with pytest.raises(NameUnknown):
        await hub.ask("GET", repository_path(parse_repository("client-kinds/none")))
    with pytest.raises(Invalid):
        await hub.ask("POST", "/repositories", {"name": "client-kinds-2", "administrator": True})


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_registry_that_is_no_hub_is_said_to_be_none(
    method: str, docker_registry: DockerRegistry, hub: Hub, client_of: Make
) -> None:
    for host in (docker_registry.host, hub.host):
        with pytest.raises(NotFound, match=f"^{host} is not a dockyard hub, or one without accounts$"):
            await HubClient(await client_of(host)).ask(method, "/orgs")


async def test_docker_hub_is_not_even_asked(client_of: Make) -> None:
    with pytest.raises(NotFound, match=r"^docker\.io is not a dockyard hub$") as refused:
        await HubClient(await client_of("docker.io")).ask("GET", "/account")

    assert "default-registry" in str(refused.value.hint)


async def test_a_page_for_people_is_no_hub(registry: FakeRegistry, client_of: Make) -> None:
    async def page(request: web.Request) -> web.StreamResponse | None:
        return web.Response(text="<html>", content_type="text/html") if "/api/" in request.path else None

    registry.faults.append(page)

    with pytest.raises(NotFound, match="not a dockyard hub"):
        await HubClient(await client_of(registry.host)).ask("GET", "/account")


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
async def test_a_password_goes_only_to_a_hub(scheme: str, registry: FakeRegistry, client_of: Make) -> None:
    """What protects a registry of another kind may be another's."""

    async def guarded(request: web.Request) -> web.StreamResponse | None:
        challenge = {"WWW-Authenticate": f'{scheme} realm="{registry.url}/token"'}
        return error(401, "UNAUTHORIZED", "authentication required", **challenge)

    registry.faults.append(guarded)
    with pytest.raises(NotFound, match="not a dockyard hub"):
        await HubClient(await client_of(registry.host, credentials=ADA)).ask("GET", "/account")

    assert registry.asked("GET", "/api/")
    assert not [seen for seen in registry.seen if "Authorization" in seen.headers]


async def test_a_password_does_not_follow_to_another_host(registry: FakeRegistry, client_of: Make) -> None:
    async with fake_registry() as other:

        async def elsewhere(request: web.Request) -> web.StreamResponse | None:
            if request.path == "/v2/" or "Authorization" not in request.headers:
                return None
            return web.Response(status=307, headers={"Location": f"{other.url}/moved"})

        registry.faults += [asks_for_a_login, elsewhere]
        with pytest.raises(NotFound):
            await HubClient(await client_of(registry.host, credentials=ADA)).ask("GET", "/account")

        assert registry.seen[-1].headers["Authorization"].startswith("Basic ")
        assert ["Authorization" in seen.headers for seen in other.seen] == [False]


async def test_only_what_changes_nothing_is_tried_again(registry: FakeRegistry, client_of: Make) -> None:
    async def broken(request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=503) if "/orgs" in request.path else None

    registry.faults += [asks_for_a_login, broken]
    api = HubClient(await client_of(registry.host))
    for method in ("GET", "POST", "PUT", "DELETE"):
        with pytest.raises(Unavailable):
            await api.ask(method, "/orgs")

    assert [len(registry.asked(method, "/orgs")) for method in ("GET", "POST", "PUT", "DELETE")] == [6, 1, 1, 1]


@pytest.mark.parametrize("answer", ['{"items": 1}', '{"items": [], "next": "a"}', "{}", "[]", "<html>"])
async def test_a_list_that_is_none_or_never_ends_is_an_error(
    answer: str, registry: FakeRegistry, client_of: Make
) -> None:
    async def listed(request: web.Request) -> web.StreamResponse | None:
        return web.Response(text=answer) if "/orgs" in request.path else None

    registry.faults += [asks_for_a_login, listed]

    with pytest.raises(Unavailable, match="the answer is not a"):
        assert [item async for item in HubClient(await client_of(registry.host)).items("/orgs")]


def test_a_name_is_one_segment_of_a_path() -> None:
    assert path("orgs", "acme", "members", "ada") == "/orgs/acme/members/ada"
    assert path("robots", "acme+ci") == "/robots/acme%2Bci"
    assert repository_path(parse_repository("a/b/c"), "collaborators", "ada") == (
        "/repositories/a/b/c/-/collaborators/ada"
    )
    for text in ("a/b", "..", ".", ""):
        with pytest.raises(NameInvalid):
            path("orgs", text)
