import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import platforms

from dockyard.errors import Invalid
from dockyard.oci.platform import Platform, best_match, host_platform, runs_on
from dockyard.oci.platform import platforms as parse_list

P = Platform.parse


@given(platforms)
def test_a_platform_reads_back_from_its_json_fields(platform: Platform) -> None:
    assert Platform.of(platform.fields()) == platform
    assert platform.normal() == platform


@given(platforms)
def test_a_platform_reads_back_what_it_prints_but_its_windows_version(platform: Platform) -> None:
    assert (P(str(platform)).os, P(str(platform)).variant) == (platform.os, platform.variant)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/x86_64", "linux/amd64"), ("linux/aarch64", "linux/arm64"), ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"), ("linux/armhf", "linux/arm/v7"), ("linux/armel", "linux/arm/v6"),
        ("Linux/AMD64", "linux/amd64"), ("linux/amd64/v1", "linux/amd64"), ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386"), ("linux/arm/6", "linux/arm/v6"), ("macos/arm64", "darwin/arm64"),
    ],
)  # fmt: skip
def test_many_spellings_are_one_platform(text: str, normal: str) -> None:
    assert str(P(text)) == normal


def test_a_windows_version_can_be_written_with_the_system() -> None:
    assert P("windows(10.0.17763)/amd64") == Platform("windows", "amd64", os_version="10.0.17763")


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "linux/../x", "l\n/x"])
def test_what_is_not_a_platform_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="not a platform"):
        P(text)


@pytest.mark.parametrize(
    ("wanted", "candidates", "best"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/amd64", ["windows/amd64", "linux/arm64"], None),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], 1),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], 1),
        ("linux/arm64", ["linux/arm64", "linux/arm64"], 0),
        ("linux/amd64", [], None),
        ("linux/riscv64/rva23", ["linux/riscv64/rva23"], 0),
        ("windows(10.0.17763.1)/amd64", ["windows(10.0.20348.5)/amd64", "windows(10.0.17763.9)/amd64"], 1),
        ("windows/amd64", ["windows(10.0.17763.9)/amd64", "windows(10.0.20348.5)/amd64"], 1),
    ],
)
def test_the_best_candidate_wins(wanted: str, candidates: list[str], best: int | None) -> None:
    assert best_match(P(wanted), [P(text) for text in candidates]) == best


@given(platforms, st.lists(st.none() | platforms, max_size=6))
def test_what_is_matched_can_run_there_and_an_exact_one_is_always_found(
    wanted: Platform, others: list[Platform | None]
) -> None:
    index = best_match(wanted, others)

    assert index is None or (others[index] is not None and runs_on(others[index], wanted))  # type: ignore[arg-type]
    assert best_match(wanted, [*others, wanted]) is not None


@pytest.mark.parametrize(
    ("system", "machine", "platform"),
    [("Linux", "x86_64", "linux/amd64"), ("Darwin", "arm64", "linux/arm64"), ("Windows", "AMD64", "windows/amd64")],
)
def test_a_machine_has_its_platform(system: str, machine: str, platform: str) -> None:
    assert str(host_platform(system, machine)) == platform


def test_a_list_of_platforms_may_use_commas() -> None:
    assert parse_list(["linux/amd64,linux/arm64", "windows/amd64"]) == [
        P("linux/amd64"), P("linux/arm64"), P("windows/amd64"),
    ]  # fmt: skip
