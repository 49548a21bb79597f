"""Which platform an image is for, by its index or by its config."""

from __future__ import annotations

from dataclasses import replace

import pytest
from content.memory import Memory

from dockyard.content.copy import copy
from dockyard.content.fit import choose, platform_of, refuse_misfit
from dockyard.errors import Invalid, ManifestUnknown
from dockyard.oci.platform import Platform

AMD64, ARM64, WINDOWS = Platform("linux", "amd64"), Platform("linux", "arm64"), Platform("windows", "amd64")


@pytest.fixture
def memory() -> Memory:
    """``bare``: an index that says nothing of its images for amd64 and arm64; ``one``: that for amd64."""
    memory = Memory()
    amd64 = memory.add_image(b"amd64", platform=AMD64, name="one")
    arm64 = memory.add_image(b"arm64", platform=ARM64)
    memory.add_index(replace(amd64, platform=None), replace(arm64, platform=None), name="bare")
    return memory


@pytest.mark.parametrize("wanted", [AMD64, ARM64])
async def test_the_config_decides_where_the_index_says_nothing(wanted: Platform, memory: Memory) -> None:
    copied = await copy(memory, Memory(), "bare", platform=wanted)

    assert await platform_of(memory, copied.manifest) == wanted


async def test_what_the_index_says_goes_first(memory: Memory) -> None:
    bare = memory.add_image(b"bare", platform=AMD64)
    said = memory.add_image(b"said", platform=AMD64)
    memory.add_index(replace(bare, platform=None), said, name="both")

    assert (await choose(memory, await memory.manifest("both"), AMD64)).digest == said.digest


async def test_a_platform_that_no_config_names_is_said_with_those_that_they_do(memory: Memory) -> None:
    with pytest.raises(ManifestUnknown, match="no matching manifest for windows/amd64") as caught:
        await copy(memory, Memory(), "bare", platform=WINDOWS)

    assert caught.value.hint == "The image is there for: linux/amd64, linux/arm64"


async def test_an_image_of_another_platform_is_refused_when_one_was_asked_for(memory: Memory) -> None:
    image = await memory.manifest("one")
    await refuse_misfit(memory, image, AMD64, "app")
    await refuse_misfit(memory, image, ARM64, "app", asked=False)

    for wanted, asked in ((ARM64, True), (WINDOWS, False)):
        with pytest.raises(Invalid, match=rf"app was found but its platform \(linux/amd64\) does not match {wanted}"):
            await refuse_misfit(memory, image, wanted, "app", asked=asked)
