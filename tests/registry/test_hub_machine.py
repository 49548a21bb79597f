"""Push, tag, delete and mount in any order, in two processes' worth of hubs, against a model of a few dictionaries."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from registry.pushing import CONFIG, about, image, index, push_blob, put, raised, stored
from registry.rebuilding import dump, rebuilt

from dockyard.config import ServeSettings
from dockyard.errors import BlobUnknown, ManifestBlobUnknown, ManifestUnknown, NameUnknown, Unsupported
from dockyard.oci.digest import Digest
from dockyard.oci.reference import RepositoryName, Tag
from dockyard.registry.access import EVERYBODY
from dockyard.registry.content import Registry

repositories = st.sampled_from([RepositoryName("a"), RepositoryName("team/b"), RepositoryName("team/b/c")])
tags = st.sampled_from([Tag("latest"), Tag("v1"), Tag("v2")])
layers = st.sampled_from([CONFIG, b"{}", b"one", b"two", b"three"])
manifests = st.one_of(
    st.lists(layers, max_size=3).map(lambda chosen: image(*chosen)),
    st.lists(layers, max_size=2).map(lambda chosen: index(image(*chosen))),
    layers.map(lambda layer: about(image(layer), "application/test")),
)


PARTLY = {"namespaces", "repositories", "blobs", "links"}


class Hub(RuleBasedStateMachine):
    """``blobs``, ``held`` and ``tagged`` are what a hub may show: by repository, digest and tag.

    ``known`` are the repositories that are there, and ``pushed`` those of them that ever had a manifest.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.blobs, self.held, self.tagged, self.known, self.pushed = {}, {}, {}, set(), set()

    @initialize()
    def start(self) -> None:
        options = ServeSettings(auth="none", data=str(Path(self.folder.name) / "hub"))
        self.hubs = [self.run(Registry.open(options)) for _ in range(2)]

    def teardown(self) -> None:
        for hub in self.hubs:
            self.run(hub._journal.mark())
        before = self.run(self.hub.database.read(dump))
        for hub in self.hubs:
            self.run(hub.close())
        data = Path(self.folder.name)
        after = self.run(rebuilt(data / "hub" / "journal", data / "rebuilt"))
        self.runner.close()
        self.folder.cleanup()

        # Blobs that no manifest ever named are not in the journal, nor repositories that only have such.
        assert {name for name in after if after[name] != before[name]} <= PARTLY
        assert all(set(after[name]) <= set(before[name]) for name in PARTLY)

    def run(self, call):
        return self.runner.run(call)

    def outcome(self, call):
        return self.run(raised(lambda: call))

    @property
    def hub(self):
        """Each step is served by another one than the last."""
        self.hubs.reverse()
        return self.hubs[0]

    def needs(self, repository, manifest):
        return [child.digest for child in manifest.manifests if (repository, child.digest) not in self.held] + [
            blob.digest for blob in manifest.blobs if (repository, blob.digest) not in self.blobs
        ]

    def needed(self, repository, digest):
        return any(
            digest in {found.digest for found in (*manifest.blobs, *manifest.manifests)}
            for (owner, _), manifest in self.held.items()
            if owner == repository
        )

    @rule(repository=repositories, content=layers)
    def push(self, repository, content) -> None:
        blob = self.run(push_blob(self.hub, repository, content))
        self.blobs[repository, blob.digest] = content
        self.known.add(repository)

    @rule(repository=repositories, content=layers, origin=st.none() | repositories)
    def mount(self, repository, content, origin) -> None:
        digest = Digest.of(content)
        mounted = self.run(self.hub.mount(EVERYBODY, repository, digest, origin))
        holders = {owner for owner, held in self.blobs if held == digest}

        assert (mounted is not None) == (bool(holders) if origin is None else origin in holders)
        if mounted:
            self.blobs[repository, digest] = content
            self.known.add(repository)

    @rule(repository=repositories, manifest=manifests, names=st.lists(tags, max_size=2, unique=True))
    def put(self, repository, manifest, names) -> None:
        missing = self.needs(repository, manifest)
        error = self.outcome(put(self.hub, manifest, manifest.digest, repository=repository, tags=names))

        assert error == (ManifestBlobUnknown if missing else None)
        if not missing:
            self.known.add(repository)
            self.pushed.add(repository)
            self.held[repository, manifest.digest] = manifest
            self.tagged |= {(repository, name): manifest.digest for name in names}

    @rule(repository=repositories, tag=tags)
    def untag(self, repository, tag) -> None:
        error = self.outcome(self.hub.delete_manifest(EVERYBODY, repository, tag))
        known = self.tagged.pop((repository, tag), None)

        assert (error is None) == (known is not None)
        assert error in (None, ManifestUnknown, NameUnknown)

    @rule(repository=repositories, manifest=manifests)
    def delete(self, repository, manifest) -> None:
        error = self.outcome(self.hub.delete_manifest(EVERYBODY, repository, manifest.digest))
        if (repository, manifest.digest) not in self.held:
            assert error in (ManifestUnknown, NameUnknown)
        elif self.needed(repository, manifest.digest):
            assert error is Unsupported
        else:
            assert error is None
            del self.held[repository, manifest.digest]
            self.tagged = {
                at: digest for at, digest in self.tagged.items() if at[0] != repository or digest != manifest.digest
            }

    @rule(repository=repositories, content=layers)
    def delete_blob(self, repository, content) -> None:
        digest = Digest.of(content)
        error = self.outcome(self.hub.delete_blob(EVERYBODY, repository, digest))
        if (repository, digest) not in self.blobs:
            assert error is BlobUnknown
        elif self.needed(repository, digest):
            assert error is Unsupported
        else:
            assert error is None
            del self.blobs[repository, digest]

    @rule(repository=repositories)
    def remove(self, repository) -> None:
        error = self.outcome(self.hub.remove(EVERYBODY, repository))
        known = repository in self.known
        assert error is (None if known else NameUnknown)
        self.known.discard(repository)
        self.pushed.discard(repository)
        for kept in (self.blobs, self.held, self.tagged):
            for at in [at for at in kept if at[0] == repository]:
                del kept[at]

    @rule(repository=repositories, content=layers)
    def read(self, repository, content) -> None:
        hub, digest = self.hub, Digest.of(content)
        error = self.outcome(hub.blob(EVERYBODY, repository, digest))

        assert error == (None if (repository, digest) in self.blobs else BlobUnknown)
        if not error:
            assert self.run(stored(hub, self.run(hub.blob(EVERYBODY, repository, digest)))) == content

    @rule(repository=repositories, manifest=manifests)
    def resolve(self, repository, manifest) -> None:
        error = self.outcome(self.hub.manifest(EVERYBODY, repository, manifest.digest))

        assert (error is None) == ((repository, manifest.digest) in self.held)

    @rule(repository=repositories, content=layers)
    def referrers(self, repository, content) -> None:
        subject = image(content).digest
        raw = self.run(self.hub.referrers(EVERYBODY, repository, subject)).raw
        expected = [
            manifest.digest
            for (owner, _), manifest in self.held.items()
            if owner == repository and manifest.subject and manifest.subject.digest == subject
        ]

        assert all(str(digest).encode() in raw for digest in expected)
        assert raw.count(b'"digest"') == len(expected)

    @invariant()
    def every_tag_shows_its_manifest(self) -> None:
        if not hasattr(self, "hubs"):
            return
        for (repository, tag), digest in self.tagged.items():
            assert self.run(self.hub.manifest(EVERYBODY, repository, tag)).manifest == self.held[repository, digest]

    @invariant()
    def the_lists_are_complete(self) -> None:
        if not hasattr(self, "hubs"):
            return
        assert self.run(self.hub.repositories(EVERYBODY, limit=10)).items == tuple(sorted(self.pushed))
        for repository in self.pushed:
            expected = tuple(sorted(tag for owner, tag in self.tagged if owner == repository))
            assert self.run(self.hub.tags(EVERYBODY, repository, limit=10)).items == expected


TestHub = Hub.TestCase
TestHub.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
