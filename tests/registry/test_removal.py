"""Removing a repository: what goes, what another one of the same name is, and what a journal brings back."""

import pytest
from registry.people import make_user
from registry.pushing import APP, LATEST, OTHER, chunks, push_blob, push_image
from registry.rebuilding import dump, rebuilt
from registry.sharing import make_team, may, push_as, refused
from sqlalchemy import select

from dockyard.errors import BlobUnknown, BlobUploadUnknown, ManifestUnknown, NameUnknown
from dockyard.oci.digest import Digest
from dockyard.oci.reference import RepositoryName
from dockyard.registry import account_schema, schema
from dockyard.registry.access import EVERYBODY, Action, Right
from dockyard.registry.catalog import changes, uploads

LAYER = b"layer" * 1000
TABLES = (
    schema.tags, schema.tag_history, schema.edges, schema.manifests, schema.links, schema.uploads, schema.pulls,
    schema.pushes, account_schema.team_grants, account_schema.account_grants,
)  # fmt: skip


def rows_of(connection, repository):
    """The tables that have rows of the repository."""
    found = [table.name for table in TABLES if connection.execute(select(table).filter_by(repository=repository)).all()]
    return sorted(found)


def ids(connection, name):
    query = select(schema.repositories.c.id).where(schema.repositories.c.name == name)
    return list(connection.scalars(query))


async def bytes_left(registry):
    """The uploads that have bytes in the store."""
    return [found.key async for found in registry._blobs.uploads()]


async def test_a_repository_goes_with_all_that_is_in_it(registry):
    manifest = await push_image(registry, LAYER)
    await registry.remove(EVERYBODY, APP)
    blob = Digest.of(LAYER)

    assert (await registry.repositories(EVERYBODY, limit=10)).items == ()
    await refused(registry.manifest(EVERYBODY, APP, LATEST), NameUnknown, f"there is no repository {APP}")
    await refused(registry.manifest(EVERYBODY, APP, manifest.digest), NameUnknown)
    await refused(registry.tags(EVERYBODY, APP, limit=10), NameUnknown)
    await refused(registry.blob(EVERYBODY, APP, blob), BlobUnknown)
    assert await registry.mount(EVERYBODY, OTHER, blob, APP) is None
    assert await registry.mount(EVERYBODY, OTHER, blob, None) is None
    await refused(registry.remove(EVERYBODY, APP), NameUnknown, f"there is no repository {APP}")


async def test_no_row_of_it_stays_but_its_own(hub_of_accounts):
    hub = hub_of_accounts
    ada, bob = await make_user(hub, "ada"), await make_user(hub, "bob")
    await hub.organisations.create(ada, "acme")
    await make_team(hub, ada, "acme/dev", "bob")
    name = RepositoryName("acme/app")
    manifest = await push_as(hub, ada, name, LAYER)
    await hub.teams.grant(ada, "acme", "dev", name, Right.WRITE)
    await hub.repositories.grant(ada, name, "bob", Right.READ)
    await hub.content.begin_upload(ada, name)
    hub.content.note_pull(name, manifest.digest)
    await hub.content._pulls.write()
    [old] = await hub.content.database.read(ids, name)
    assert await hub.content.database.read(rows_of, old) == sorted(table.name for table in TABLES)
    await hub.repositories.configure(ada, name, description="Old.")
    await hub.repositories.remove(ada, name)
    await hub.repositories.create(ada, name)
    [new] = await hub.content.database.read(ids, name)

    assert new > old
    assert await hub.content.database.read(rows_of, old) == await hub.content.database.read(rows_of, new) == []
    assert (await hub.repositories.get(ada, name)).description == ""
    assert await hub.repositories.collaborators(ada, name) == ()
    assert await hub.teams.grants(ada, "acme", "dev") == []
    assert not await may(hub, bob, Action.PUSH, name)
    await refused(hub.content.manifest(ada, name, manifest.digest), NameUnknown)
    await push_as(hub, ada, name, b"new")
    await refused(hub.content.manifest(ada, name, manifest.digest), ManifestUnknown)
    assert (await hub.repositories.get(ada, name)).tags == 1


async def test_a_removed_name_is_found_by_nobody(hub_of_accounts):
    hub = hub_of_accounts
    root = await make_user(hub, "root", administrator=True)
    await push_as(hub, root, "app", LAYER)
    [old] = await hub.content.database.read(ids, "app")
    await hub.repositories.remove(root, RepositoryName("app"))

    assert (await hub.repositories.list(root, limit=10)).items == ()
    assert (await hub.repositories.search(root, str(old), limit=10)).items == ()
    assert (await hub.content.repositories(root, limit=10)).items == ()


async def test_a_journal_does_not_bring_a_removed_repository_back(registry, clock, tmp_path):
    await push_image(registry, LAYER)
    await push_image(registry, b"other", repository=OTHER)
    clock.passes(1)
    await registry.remove(EVERYBODY, APP)
    await registry._journal.mark()
    before = await registry.database.read(dump)
    after = await rebuilt(tmp_path / "hub" / "journal", tmp_path / "rebuilt")

    assert {name for name in after if after[name] != before[name]} <= {"repositories"}
    assert [row[2] for row in after["repositories"]] == ["#1", OTHER]


async def test_a_journal_knows_a_repository_from_one_that_was_there_under_its_name(registry, tmp_path):
    await push_image(registry, LAYER)
    await registry.remove(EVERYBODY, APP)
    manifest = await push_image(registry, b"new")
    await registry._journal.mark()
    before = await registry.database.read(dump)
    after = await rebuilt(tmp_path / "hub" / "journal", tmp_path / "rebuilt")

    assert after["tags"] == before["tags"]
    assert [row[1] for row in after["manifests"]] == [str(manifest.digest)]
    assert [(row[0], row[2]) for row in after["repositories"]] == [(1, "#1"), (2, APP)]


async def test_a_journal_that_lost_the_removal_still_has_the_newer_one_of_a_name(registry, tmp_path):
    await push_image(registry, LAYER)
    await registry.remove(EVERYBODY, APP)
    manifest = await push_image(registry, b"new")
    removal = max((tmp_path / "hub" / "journal" / "1").iterdir(), key=lambda path: int(path.stem))
    removal.unlink()
    after = await rebuilt(tmp_path / "hub" / "journal", tmp_path / "rebuilt")

    assert [row[1] for row in after["manifests"]] == [str(manifest.digest)]
    assert [(row[0], row[2]) for row in after["repositories"]] == [(1, "#1"), (2, APP)]


async def test_a_repository_that_nothing_was_pushed_to_leaves_no_record(registry, tmp_path):
    await push_blob(registry, APP, LAYER)
    await registry.remove(EVERYBODY, APP)

    assert list((tmp_path / "hub" / "journal").iterdir()) == []
    await refused(registry.blob(EVERYBODY, APP, Digest.of(LAYER)), BlobUnknown)


async def test_an_upload_that_is_under_way_ends(registry):
    upload = await registry.begin_upload(EVERYBODY, APP)

    async def interrupted():
        for number, piece in enumerate([LAYER] * 400):
            if number == 200:
                await registry.remove(EVERYBODY, APP)
            yield piece

    call = registry.append(EVERYBODY, APP, upload.id, interrupted())
    await refused(call, BlobUploadUnknown, f"there is no upload {upload.id}")
    assert await bytes_left(registry) == []
    await refused(registry.upload(EVERYBODY, APP, upload.id), BlobUploadUnknown)


async def test_an_upload_does_not_end_in_the_repository_made_anew(registry):
    content = LAYER * 400
    upload = await registry.begin_upload(EVERYBODY, APP)

    async def interrupted():
        async for piece in chunks(content):
            yield piece
        await registry.remove(EVERYBODY, APP)
        await push_image(registry, b"new")

    call = registry.finish_upload(EVERYBODY, APP, upload.id, Digest.of(content), interrupted())
    await refused(call, BlobUploadUnknown)
    await refused(registry.blob(EVERYBODY, APP, Digest.of(content)), BlobUnknown)
    assert await bytes_left(registry) == []
    await refused(registry.upload(EVERYBODY, APP, upload.id), BlobUploadUnknown)


async def test_an_upload_whose_bytes_are_all_there_becomes_no_blob_of_a_removed_repository(registry):
    upload = await registry.begin_upload(EVERYBODY, APP)
    session = await registry.database.write(uploads.take_over, upload.id, APP, None, None, 0)
    await registry.remove(EVERYBODY, APP)
    digest = Digest.of(LAYER)

    call = registry.database.write(uploads.finish, session, str(digest), digest, len(LAYER), "key", 0)
    await refused(call, BlobUploadUnknown)
    assert not await registry.database.read(uploads.is_kept, "key")


@pytest.mark.parametrize("stored", [True, False])
async def test_what_was_removed_before_a_crash_stays_so(open_registry, stored):
    first = await open_registry()
    await push_image(first, LAYER)
    if stored:
        await first.remove(EVERYBODY, APP)
    else:
        await first.database.write(_remove_and_stop)
    second = await open_registry()

    assert (await second.repositories(EVERYBODY, limit=10)).items == ()


def _remove_and_stop(connection):
    """The transaction of a removal whose process ends before the record is in the journal."""
    changes.remove(connection, APP, actor=EVERYBODY, now=1)
