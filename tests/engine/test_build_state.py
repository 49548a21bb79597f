"""What an image is after each step of a build."""

from __future__ import annotations

import json

import pytest

from dockyard.dockerfile.instructions import Location
from dockyard.dockerfile.steps import Step
from dockyard.engine.build_state import MOST_LAYERS, Layer, State, state_of
from dockyard.errors import BuildFailed
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.image import ImageConfig
from dockyard.oci.manifest import make_image
from dockyard.oci.platform import Platform

LINUX = Platform("linux", "amd64")


def layer(text: str) -> Layer:
    return Layer(
        Descriptor(media_types.OCI_LAYER_GZIP, Digest.of(text.encode()), 10), Digest.of(b"plain" + text.encode())
    )


def step(text: str, **config: object) -> Step:
    return Step(Location(1, 1), text, text, config)


def fields(state: State) -> dict[str, object]:
    raw, _ = state.image()
    found: dict[str, object] = json.loads(raw)
    return found


def test_a_step_that_makes_no_files_is_an_empty_layer_in_the_history() -> None:
    state = State(LINUX).after(step("LABEL a=b", Labels={"a": "b"}), None, 0.0, None)

    assert fields(state)["history"] == [
        {"created": "1970-01-01T00:00:00Z", "created_by": "LABEL a=b", "empty_layer": True}
    ]
    assert fields(state)["config"] == {"Labels": {"a": "b"}}
    assert fields(state)["rootfs"] == {"type": "layers", "diff_ids": []}


def test_created_is_the_newest_time_of_any_file_so_far() -> None:
    state = State(LINUX)
    for name, newest in (("a", 100.0), ("b", 300.0), ("c", 200.0)):
        state = state.after(step(f"COPY {name}"), layer(name), newest, None)

    assert fields(state)["created"] == "1970-01-01T00:05:00Z"
    assert [entry["created"][-5:-1] for entry in state.history] == ["1:40", "5:00", "5:00"]


def test_source_date_epoch_is_the_time_of_all_that_a_build_adds() -> None:
    base = State(LINUX, created=5_000_000_000.0)
    state = base.after(step("COPY a"), layer("a"), 9e9, 1_000_000_000)

    assert fields(state)["created"] == "2001-09-09T01:46:40Z"


def test_a_time_after_the_year_9999_is_the_last_one_that_can_be_written() -> None:
    state = State(LINUX).after(step("COPY a"), layer("a"), 1e18, None)

    assert fields(state)["created"] == "9999-12-31T23:59:59Z"


def test_an_image_has_no_more_layers_than_docker_takes() -> None:
    state = State(LINUX, tuple(layer(str(number)) for number in range(MOST_LAYERS)))

    assert state.after(step("ENV a=b"), None, 0.0, None).layers == state.layers
    with pytest.raises(BuildFailed, match="max depth exceeded"):
        state.after(step("COPY a"), layer("a"), 0.0, None)


def test_a_base_of_dockers_types_keeps_its_bytes_and_gets_ocis_types() -> None:
    digest, diff_id = Digest.of(b"layer"), Digest.of(b"plain")
    config = ImageConfig(
        json.dumps(
            {
                "os": "windows", "architecture": "amd64", "os.version": "10.0.17763.1397", "author": "me",
                "rootfs": {"type": "layers", "diff_ids": [str(diff_id)]}, "config": {"Env": ["A=b"]},
                "history": [{"created_by": "base"}], "created": "2020-01-01T00:00:00Z",
            }
        ).encode()
    )  # fmt: skip
    manifest = make_image(
        Descriptor(media_types.DOCKER_CONFIG, config.digest, len(config.raw)),
        [Descriptor(media_types.DOCKER_LAYER_GZIP, digest, 5)],
        media_type=media_types.DOCKER_MANIFEST,
    )
    state = state_of(manifest, config, LINUX)

    assert state.layers == (Layer(Descriptor(media_types.OCI_LAYER_GZIP, digest, 5), diff_id),)
    assert state.platform.os_version == "10.0.17763.1397"
    assert fields(state)["os.version"] == "10.0.17763.1397"
    assert fields(state)["created"] == "2020-01-01T00:00:00Z"
    assert fields(state)["author"] == "me"


def test_a_base_without_history_gets_an_entry_for_each_layer() -> None:
    layers = [layer("a"), layer("b")]
    diff_ids = [str(one.diff_id) for one in layers]
    config = ImageConfig(
        json.dumps(
            {
                "rootfs": {"type": "layers", "diff_ids": diff_ids}, "created": "2020-01-01T00:00:00Z",
                "history": [{"created_by": "first"}, {"created_by": "ENV", "empty_layer": True}],
            }
        ).encode()
    )  # fmt: skip
    manifest = make_image(Descriptor(media_types.OCI_CONFIG, config.digest, 1), [one.descriptor for one in layers])
    state = state_of(manifest, config, LINUX)

    assert [entry.get("created_by", "") for entry in state.history] == ["first", "ENV", ""]
    assert state.history[2]["created"] == "2020-01-01T00:00:00Z"
    assert "empty_layer" not in state.history[2]


def test_a_base_whose_config_lies_about_its_layers_is_refused() -> None:
    config = ImageConfig(b'{"rootfs": {"type": "layers", "diff_ids": []}}')
    manifest = make_image(
        Descriptor(media_types.OCI_CONFIG, config.digest, 1), [Descriptor(media_types.OCI_LAYER, Digest.of(b""), 0)]
    )

    with pytest.raises(BuildFailed, match="1 layers and 0 diff IDs"):
        state_of(manifest, config, LINUX)
