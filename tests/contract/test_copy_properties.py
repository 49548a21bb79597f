"""What holds for every copy of every image: all of it goes over, once, whatever is cut on the way."""

from __future__ import annotations

from content.memory import Memory
from hypothesis import given
from hypothesis import strategies as st
from strategies import image_graphs

from dockyard.content.copy import copy
from dockyard.content.graph import blobs_of, manifests_of
from dockyard.content.retry import Retry
from dockyard.oci.digest import Digest


async def at_once(_: float) -> None:
    """Wait for no time at all."""


def reachable(memory: Memory, digest: Digest) -> tuple[set[Digest], set[Digest]]:
    """The manifests and blobs that one manifest needs."""
    manifest = memory.manifests[digest]
    manifests, blobs = {digest}, {blob.digest for blob in blobs_of(manifest)}
    for child in manifests_of(manifest):
        more_manifests, more_blobs = reachable(memory, child.digest)
        manifests, blobs = manifests | more_manifests, blobs | more_blobs
    return manifests, blobs


@given(image_graphs())
async def test_a_copy_moves_everything_that_is_needed_and_nothing_else(source: Memory) -> None:
    sink = Memory()
    await copy(source, sink, "x", to="y")
    manifests, blobs = reachable(source, source.names["x"])

    assert sink.names == {"y": source.names["x"]}
    assert set(sink.manifests) == manifests
    assert sink.blobs == {digest: source.blobs[digest] for digest in blobs}


@given(image_graphs())
async def test_a_second_copy_moves_nothing(source: Memory) -> None:
    sink = Memory()
    first = await copy(source, sink, "x", to="y")
    second = await copy(source, sink, "x", to="y")

    assert second.sent == 0
    assert second.existed == first.written + first.existed


@given(image_graphs(), st.data())
async def test_a_copy_cut_at_any_byte_completes_and_sends_at_most_the_rest_again(
    source: Memory, data: st.DataObject
) -> None:
    total = sum(map(len, source.blobs.values()))
    sink, piece = Memory(), data.draw(st.integers(1, 40))
    source.piece = piece
    sink.cut_after = data.draw(st.integers(0, total))
    copied = await copy(source, sink, "x", to="y", retry=Retry(sleep=at_once))
    _, blobs = reachable(source, source.names["x"])

    assert set(sink.blobs) == blobs
    assert sink.received == sum(len(source.blobs[digest]) for digest in blobs)
    assert copied.sent <= sink.received


@given(image_graphs(), st.data())
async def test_what_is_there_already_is_not_sent(source: Memory, data: st.DataObject) -> None:
    sink = Memory()
    known = data.draw(st.sets(st.sampled_from(sorted(source.blobs))))
    sink.blobs = {digest: source.blobs[digest] for digest in known}
    await copy(source, sink, "x", to="y")

    assert not {digest for digest, _ in source.opened} & known
