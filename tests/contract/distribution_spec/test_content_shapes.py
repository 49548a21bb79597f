"""Every kind of content that the specifications allow goes up, is found and comes down again, and can be deleted."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from images import CONFIG, EMPTY_JSON, GZIP, LAYER, MANIFEST, ZSTD
from repository import Repository, absent, describe, digest_of, image, index, media_type_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub

THING = "application/vnd.example.thing.v1"
PLATFORMS = [{"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64", "variant": "v8"}]


class Content(NamedTuple):
    """Manifests in the order they are pushed (the last one is tagged) and the digest algorithm that names them."""

    manifests: list[bytes]
    algorithm: str = "sha256"


def multi_platform(repository: Repository, algorithm: str = "sha256", **more: Any) -> Content:
    children = [repository.image(algorithm=algorithm) for _ in PLATFORMS]
    named = [
        describe(child, MANIFEST, algorithm, platform=platform)
        for child, platform in zip(children, PLATFORMS, strict=True)
    ]
    return Content([*children, index(named, **more)], algorithm)


def nested(repository: Repository) -> Content:
    inner = [multi_platform(repository).manifests for _ in range(2)]
    outer = index([describe(manifests[-1], media_type_of(manifests[-1])) for manifests in inner])
    return Content([*inner[0], *inner[1], outer])


def with_data(repository: Repository) -> Content:
    config, layer = os.urandom(20), os.urandom(300)
    fields = [
        repository.blob(data, kind) | {"data": base64.b64encode(data).decode()}
        for data, kind in ((config, CONFIG), (layer, GZIP))
    ]
    return Content([image(fields[0], fields[1:])])


def with_own_fields(repository: Repository) -> Content:
    child = repository.image(**{"org.example.custom": "x", "nested": {"a": [1, None, True, 1.5]}})
    named = describe(child, MANIFEST, **{"org.example.field": {"b": 2}})
    return Content([child, index([named], **{"org.example.custom": ["y"]})])


def with_subjects(repository: Repository) -> Content:
    subject = repository.image()
    about = describe(subject, MANIFEST)
    artifacts = [repository.artifact(THING + str(number), subject=about) for number in range(2)]
    return Content([subject, *artifacts, index([], artifactType=THING, subject=about)])


def absent_layers(repository: Repository) -> Content:
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    away = {"digest": absent(), "size": 12345, "urls": ["https://store.example.com/x"]}
    layers = [{"mediaType": kind, **away}, {"mediaType": f"{kind}+gzip", **away, "digest": absent()}]
    return Content([image(repository.blob(os.urandom(9), CONFIG), [*layers, repository.blob(os.urandom(9), GZIP)])])


def docker(repository: Repository) -> Content:
    prefix = "application/vnd.docker"
    config = repository.blob(os.urandom(9), f"{prefix}.container.image.v1+json")
    layer = repository.blob(os.urandom(9), f"{prefix}.image.rootfs.diff.tar.gzip")
    child = image(config, [layer], mediaType=f"{prefix}.distribution.manifest.v2+json")
    named = describe(child, media_type_of(child), platform=PLATFORMS[0])
    return Content([child, index([named], mediaType=f"{prefix}.distribution.manifest.list.v2+json")])


def layers_of(*kinds: str) -> Callable[[Repository], Content]:
    def make(repository: Repository) -> Content:
        layers = [repository.blob(os.urandom(30), kind) for kind in kinds]
        return Content([image(repository.blob(os.urandom(9), CONFIG), layers)])

    return make


SHAPES: dict[str, Callable[[Repository], Content]] = {
    "an image": lambda repository: Content([repository.image(layers=2)]),
    "uncompressed layers": layers_of(LAYER, LAYER),
    "zstd layers": layers_of(ZSTD),
    "127 layers": layers_of(*[GZIP] * 127),
    "no layers": lambda repository: Content([repository.image(layers=0)]),
    "an empty layer": lambda repository: Content(
        [image(repository.blob(b"{}", CONFIG), [repository.blob(b"", LAYER)])]
    ),
    "the same layer twice": lambda repository: Content(
        [image(repository.blob(b"{}", CONFIG), [repository.blob(b"twice", LAYER)] * 2)]
    ),
    "3.9 MB of annotations": lambda repository: Content(
        [repository.image(annotations={f"note-{number}": "A" * 10_000 for number in range(390)})]
    ),
    "an index": multi_platform,
    "an index of indexes": nested,
    "an empty index": lambda _: Content([index([])]),
    "an artifact": lambda repository: Content([repository.artifact(THING)]),
    "an artifact of nothing": lambda repository: Content(
        [image(repository.blob(b"{}", EMPTY_JSON), [repository.blob(b"{}", EMPTY_JSON)], artifactType=THING)]
    ),
    "an index of artifacts": lambda repository: multi_platform(repository, artifactType=THING),
    "content about content": with_subjects,
    "content about what is absent": lambda repository: Content(
        [repository.artifact(THING, subject={"mediaType": MANIFEST, "digest": absent(), "size": 123})]
    ),
    "content inside of descriptors": with_data,
    "fields of their own": with_own_fields,
    "layers that are elsewhere": absent_layers,
    "docker's types": docker,
    "sha512": lambda repository: multi_platform(repository, "sha512"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_content_of_every_shape_goes_up_and_comes_down(hub: Hub, shape: str) -> None:
    """Pushing Manifests, Pulling manifests, Deleting Manifests: for each kind of manifest, in the order of a client."""
    repository = Repository(hub.host)
    content = SHAPES[shape](repository)
    digests = [digest_of(manifest, content.algorithm) for manifest in content.manifests]
    for manifest, digest in zip(content.manifests, digests, strict=True):
        answer = repository.put(manifest, digest)
        assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, digest), answer
        stated = json.loads(manifest).get("subject", {}).get("digest")
        assert answer.headers["OCI-Subject"] == stated
    assert repository.put(content.manifests[-1], f"{digests[-1]}?tag=top").status == 201

    assert repository.tags() == ["top"]
    for manifest, digest in zip(content.manifests, digests, strict=True):
        for target in (digest, "top") if digest == digests[-1] else (digest,):
            pulled, headed = (repository.ask(method, f"manifests/{target}") for method in ("GET", "HEAD"))
            assert (pulled.status, pulled.body) == (200, manifest)
            for answer in (pulled, headed):
                assert answer.headers["Docker-Content-Digest"] == digest
                assert answer.headers["Content-Type"] == media_type_of(manifest)
                assert answer.headers["Content-Length"] == str(len(manifest))
    assert repository.ask("DELETE", "manifests/top").status == 202
    for digest in reversed(digests):
        assert repository.ask("DELETE", f"manifests/{digest}").status == 202
        assert repository.ask("HEAD", f"manifests/{digest}").status == 404
    for manifest in content.manifests:
        fields = json.loads(manifest)
        for blob in [fields[key] for key in ("config",) if key in fields] + fields.get("layers", []):
            assert repository.ask("DELETE", f"blobs/{blob['digest']}").status in (202, 404)
            assert repository.ask("HEAD", f"blobs/{blob['digest']}").status == 404
