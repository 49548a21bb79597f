import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import references, registries, repositories, tags

from dockyard.errors import DigestInvalid, Invalid, NameInvalid, TagInvalid
from dockyard.oci.digest import Digest
from dockyard.oci.reference import (
    Reference,
    RepositoryName,
    Tag,
    familiar,
    parse_reference,
    parse_repository,
    parse_tag,
    parse_target,
)

SHA = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b"


@given(references())
def test_a_full_name_reads_back_what_it_prints(reference: Reference) -> None:
    assert parse_reference(str(reference)) == reference


@given(references(), registries)
@example(Reference("docker.io", RepositoryName("library/library/x")), "docker.io")
@example(Reference("docker.io", RepositoryName("localhost/x")), "docker.io")
@example(Reference("localhost:5000", RepositoryName("x")), "localhost:5000")
def test_a_familiar_name_reads_back_under_the_same_default(reference: Reference, default: str) -> None:
    short = familiar(reference, default_registry=default)

    assert parse_reference(short, default_registry=default) == reference
    assert len(short) <= len(str(reference))


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("alpine", "docker.io/library/alpine"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("sixeyed/tweet-app:v2-linux", "docker.io/sixeyed/tweet-app:v2-linux"),
        ("index.docker.io/sixeyed/tweet-app", "docker.io/sixeyed/tweet-app"),
        ("docker.io/alpine", "docker.io/library/alpine"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("registry.example.com/team/app/web", "registry.example.com/team/app/web"),
        ("[::1]:5000/app", "[::1]:5000/app"),
        ("Team/app", "Team/app"),
        ("a__b/c--d.e_f", "docker.io/a__b/c--d.e_f"),
        (f"alpine:3.20@sha256:{SHA}", f"docker.io/library/alpine:3.20@sha256:{SHA}"),
    ],
)
def test_a_typed_name_is_filled_up_as_docker_does(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("tweet-app", "localhost:5000/tweet-app"),
        ("sixeyed/tweet-app:v2", "localhost:5000/sixeyed/tweet-app:v2"),
        ("docker.io/alpine", "docker.io/library/alpine"),
        ("ghcr.io/a/b", "ghcr.io/a/b"),
    ],
)
def test_another_default_registry_takes_the_plain_names(text: str, full: str) -> None:
    assert str(parse_reference(text, default_registry="localhost:5000")) == full


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", NameInvalid, "empty"),
        (SHA, NameInvalid, "64 hexadecimal"),
        ("UPPER", NameInvalid, "must be lowercase"),
        ("library/Alpine:3", NameInvalid, r"\(library/Alpine\) must be lowercase"),
        ("a//b", NameInvalid, "not a repository name"),
        ("/a", NameInvalid, "."),
        ("a/", NameInvalid, "."),
        ("-a", NameInvalid, "."),
        ("a_-b", NameInvalid, "."),
        ("a___b", NameInvalid, "."),
        ("a b", NameInvalid, "."),
        ("a\n", NameInvalid, "."),
        ("é", NameInvalid, "."),
        ("localhost:5000/../x", NameInvalid, "."),
        ("-bad-.com/x", NameInvalid, "host"),
        ("a:b:c", TagInvalid, "'b:c'"),
        ("a:", TagInvalid, "''"),
        ("a:.b", TagInvalid, "'.b'"),
        ("a:" + "x" * 129, TagInvalid, "not a tag"),
        ("a@md5:33", DigestInvalid, "sha256 nor sha512"),
        ("a@", DigestInvalid, "not a digest"),
        ("a/" * 130 + "b", NameInvalid, "255"),
    ],
)
def test_a_bad_name_says_what_is_wrong(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        parse_reference(text)


@given(st.text(max_size=60))
@example("\0")
@example("a/" * 30)
def test_any_text_is_a_name_or_a_clear_refusal(text: str) -> None:
    try:
        reference = parse_reference(text)
    except Invalid as error:
        assert error.message
    else:
        assert parse_reference(str(reference)) == reference


@given(repositories)
def test_repository_names_of_the_grammar_pass(name: RepositoryName) -> None:
    assert parse_repository(name) == name


@pytest.mark.parametrize("name", ["", "A", "a/", "/a", "a//b", "../a", "a/../b", "_a", "a.", "a%2fb", "a" * 256, "a\n"])
def test_other_repository_names_are_refused(name: str) -> None:
    with pytest.raises(NameInvalid):
        parse_repository(name)


@given(tags)
def test_tags_of_the_grammar_pass_and_are_targets(tag: Tag) -> None:
    assert parse_tag(tag) == tag
    assert parse_target(tag) == tag


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a/b", "a b", "é", "a\n", "x" * 129])
def test_other_tags_are_refused(tag: str) -> None:
    with pytest.raises(TagInvalid):
        parse_tag(tag)


def test_a_target_with_a_colon_is_a_digest() -> None:
    assert parse_target(f"sha256:{SHA}") == Digest("sha256", SHA)
    with pytest.raises(DigestInvalid):
        parse_target("latest:x")


def test_a_name_without_tag_and_digest_means_latest() -> None:
    assert str(parse_reference("a").tagged()) == "docker.io/library/a:latest"
    assert parse_reference("a").target == "latest"
    assert parse_reference("a:b").tagged().tag == "b"
    assert parse_reference(f"a:b@sha256:{SHA}").target == Digest("sha256", SHA)
    assert str(parse_reference(f"a:b@sha256:{SHA}").with_tag(Tag("c"))) == "docker.io/library/a:c"
