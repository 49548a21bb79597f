import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import annotations, descriptors

from dockyard.errors import Invalid, ManifestInvalid, TooLarge
from dockyard.oci import media_types as types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.image import ImageConfig, chain_id
from dockyard.oci.manifest import MAX_MANIFEST, make_image, make_index, parse_manifest

CONFIG = Descriptor(types.OCI_CONFIG, Digest.of(b"{}"), 2)
LAYER = Descriptor(types.OCI_LAYER_GZIP, Digest.of(b"layer"), 5)
IMAGE: dict[str, Any] = {
    "schemaVersion": 2, "mediaType": types.OCI_MANIFEST, "config": CONFIG.fields(), "layers": [LAYER.fields()],
}  # fmt: skip


leaves = st.none() | st.integers() | st.text(max_size=5)
any_value = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["mediaType", "digest", "size", "platform"]), inner, max_size=3)
    ),
)
any_fields = st.dictionaries(st.sampled_from([*IMAGE, "manifests", "subject"]), any_value, max_size=6)


def image(**changes: Any) -> bytes:
    return json.dumps({key: value for key, value in (IMAGE | changes).items() if value is not None}).encode()


@given(st.lists(descriptors(), max_size=4), annotations)
def test_a_made_image_reads_back(layers: list[Descriptor], notes: dict[str, str]) -> None:
    made = make_image(CONFIG, layers, annotations=notes)
    read = parse_manifest(made.raw, made.media_type)

    assert read == made
    assert (read.config, list(read.layers), dict(read.annotations)) == (CONFIG, layers, notes)
    assert read.descriptor.size == len(made.raw)


@given(st.lists(descriptors(types.OCI_MANIFEST, types.DOCKER_MANIFEST), max_size=4))
def test_a_made_index_reads_back(children: list[Descriptor]) -> None:
    made = make_index(children, media_type=types.DOCKER_INDEX)
    read = parse_manifest(made.raw)

    assert read.is_index
    assert (list(read.manifests), read.blobs, read.config) == (children, (), None)


def test_the_bytes_are_kept_as_they_came() -> None:
    raw = b" " + image().replace(b'": ', b'" :  ') + b"\n"

    assert parse_manifest(raw, types.OCI_MANIFEST).raw == raw
    assert parse_manifest(raw).digest == Digest.of(raw)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not valid JSON"),
        (b"\xef\xbb\xbf" + image(), "not valid JSON"),
        (image() + b"{}", "not valid JSON"),
        (image() + b"x", "not valid JSON"),
        (b'{"schemaVersion":2,"schemaVersion":2}', "'schemaVersion' occurs twice"),
        (image()[:-1] + b',"layers":[]}', "'layers' occurs twice"),
        (b'{"a":' * 100_000, "nested too deeply|not valid JSON"),
        (b'{"schemaVersion":NaN}', "NaN is not JSON"),
        (image(manifests=[]), "two ways"),
        (image(layers=None, manifests=[]), "two ways"),
        (image(layers=None, config=None, manifests=[]), "does not fit its media type"),
        (image(mediaType=types.OCI_INDEX), "does not fit its media type"),
        (image(mediaType="text/plain"), "not a manifest's media type"),
        (image(mediaType=1), "not a string"),
        (image(schemaVersion=3), "schemaVersion is not 2"),
        (image(schemaVersion=1), "schema 1 manifests are not supported"),
        (image(config=None), "config is not an object"),
        (image(layers=None), "layers is not a list"),
        (image(layers={}), "layers is not a list"),
        (image(layers=["x"]), r"layers\[0\] is not an object"),
        (image(layers=[LAYER.fields() | {"size": -1}]), r"layers\[0\] has no valid size"),
        (image(layers=[LAYER.fields() | {"size": True}]), "no valid size"),
        (image(layers=[LAYER.fields() | {"size": 2**63}]), "no valid size"),
        (image(layers=[LAYER.fields() | {"size": 1.5}]), "no valid size"),
        (image(layers=[LAYER.fields() | {"digest": "sha256:../../x"}]), "not a digest"),
        (image(layers=[LAYER.fields() | {"digest": None}]), "digest is not a string"),
        (image(layers=[LAYER.fields() | {"mediaType": ""}]), "no mediaType"),
        (image(layers=[LAYER.fields() | {"urls": "http://x"}]), "urls is not a list"),
        (image(subject=[]), "subject is not an object"),
        (image(annotations={"a": 1}), "strings to strings"),
    ],
)
def test_a_broken_manifest_is_refused_with_the_reason(raw: bytes, says: str) -> None:
    with pytest.raises(ManifestInvalid, match=says):
        parse_manifest(raw)


def test_a_media_type_that_is_not_the_carriers_is_refused() -> None:
    with pytest.raises(ManifestInvalid, match="was sent as"):
        parse_manifest(image(), types.DOCKER_MANIFEST)


def test_the_carriers_parameters_and_case_are_ignored() -> None:
    assert parse_manifest(image(), types.OCI_MANIFEST.upper() + "; charset=utf-8").media_type == types.OCI_MANIFEST


def test_a_manifest_without_a_media_type_takes_the_carriers_or_what_its_keys_say() -> None:
    assert parse_manifest(image(mediaType=None), types.DOCKER_MANIFEST).media_type == types.DOCKER_MANIFEST
    assert parse_manifest(image(mediaType=None)).media_type == types.OCI_MANIFEST
    assert parse_manifest(b'{"schemaVersion":2,"manifests":[]}').media_type == types.OCI_INDEX


def test_four_mebibytes_pass_and_one_byte_more_does_not() -> None:
    raw = image(annotations={"a": ""})
    full = image(annotations={"a": "x" * (MAX_MANIFEST - len(raw))})

    assert len(parse_manifest(full).raw) == MAX_MANIFEST
    with pytest.raises(TooLarge, match="4194304"):
        parse_manifest(full + b" ")


def test_the_artifact_type_is_the_stated_one_or_the_configs() -> None:
    assert parse_manifest(image(artifactType="application/x")).artifact_type == "application/x"
    assert parse_manifest(image()).artifact_type == types.OCI_CONFIG
    assert parse_manifest(make_index([]).raw).artifact_type is None


@given(any_fields)
def test_any_object_is_a_manifest_or_a_clear_refusal(fields: dict[str, Any]) -> None:
    try:
        manifest = parse_manifest(json.dumps(fields).encode())
    except Invalid as error:
        assert error.message
    else:
        assert manifest.descriptor.digest == Digest.of(manifest.raw)


def test_a_config_says_what_it_runs_on_and_from_which_layers() -> None:
    first, second = Digest.of(b"1"), Digest.of(b"2")
    config = ImageConfig(json.dumps({
        "architecture": "arm64", "variant": "v8", "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": {"Labels": {"a": "b"}, "Cmd": ["sh"]}, "history": [{"created_by": "x"}],
        "rootfs": {"type": "layers", "diff_ids": [str(first), str(second)]},
    }).encode())  # fmt: skip

    assert str(config.platform) == "linux/arm64"
    assert (config.created, config.labels, len(config.history)) == ("2026-01-01T00:00:00Z", {"a": "b"}, 1)
    assert config.diff_ids == (first, second)
    assert chain_id(config.diff_ids) == Digest.of(f"{first} {second}".encode())
    assert chain_id([first]) == first


@pytest.mark.parametrize("raw", [b"[]", b"{", b'{"rootfs":{"diff_ids":["sha256:x"]}}', b'{"rootfs":{"diff_ids":[1]}}'])
def test_a_broken_config_is_a_clear_refusal(raw: bytes) -> None:
    with pytest.raises(Invalid, match="config"):
        _ = ImageConfig(raw).diff_ids


def test_an_empty_config_has_empty_parts() -> None:
    config = ImageConfig(b"{}")

    assert (config.created, config.labels, config.history, config.diff_ids, config.defaults) == ("", {}, [], (), {})
    with pytest.raises(Invalid):
        chain_id(config.diff_ids)
