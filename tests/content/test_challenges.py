from hypothesis import given
from hypothesis import strategies as st

from dockyard.content.challenges import Challenge, parse_challenges

BEARER = 'Bearer realm="https://auth.example/token",service="hub",scope="repository:a/b:pull,push"'


def test_the_parameters_of_a_token_challenge_keep_the_commas_inside_their_quotes() -> None:
    (challenge,) = parse_challenges([BEARER])

    assert challenge.scheme == "bearer"
    assert challenge.parameters == {
        "realm": "https://auth.example/token", "service": "hub", "scope": "repository:a/b:pull,push"
    }  # fmt: skip


def test_schemes_and_keys_are_read_in_any_case_and_values_as_they_are() -> None:
    (challenge,) = parse_challenges(['bEARER  Realm = "https://A/T" , SERVICE=Hub'])

    assert challenge == Challenge("bearer", {"realm": "https://A/T", "service": "Hub"})


def test_several_challenges_are_told_apart_in_one_header_and_in_many() -> None:
    together = parse_challenges([f'Basic realm="x, y", {BEARER}, Negotiate'])
    apart = parse_challenges(['Basic realm="x, y"', BEARER, "Negotiate"])

    assert [challenge.scheme for challenge in together] == ["basic", "bearer", "negotiate"]
    assert together == apart


def test_quoted_quotes_are_unquoted() -> None:
    assert parse_challenges([r'Basic realm="a \"b\" \\ c"'])[0].parameters["realm"] == r'a "b" \ c'


def test_the_first_of_two_equal_keys_counts() -> None:
    assert parse_challenges(['Bearer realm="a", realm="b"'])[0].parameters["realm"] == "a"


@given(st.lists(st.text(max_size=200), max_size=3))
def test_any_header_at_all_is_read_without_an_error(headers: list[str]) -> None:
    assert all(challenge.scheme for challenge in parse_challenges(headers))


_words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)
_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(st.lists(st.tuples(_words, st.dictionaries(_words, _values, max_size=3)), max_size=4))
def test_what_is_written_by_the_grammar_is_read_back(challenges: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} " + ", ".join(f"{key}={quoted(value)}" for key, value in parameters.items())
        for scheme, parameters in challenges
    )

    assert parse_challenges([header]) == [Challenge(scheme, parameters) for scheme, parameters in challenges]
