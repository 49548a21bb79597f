import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import algorithms, digests

from dockyard.errors import DigestInvalid
from dockyard.oci.digest import Digest, Hasher

SHA = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b"


@given(digests())
def test_a_digest_reads_back_what_it_prints(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest


@pytest.mark.parametrize(
    "text",
    [
        "", "sha256", "sha256:", f"sha256:{SHA[:-1]}", f"sha256:{SHA}0", f"sha256:{SHA.upper()}", f"md5:{SHA[:32]}",
        f"SHA256:{SHA}", f"sha512:{SHA}", "sha256:../../x", f"sha256:{SHA[:-1]}/", f"sha256:{SHA[:-1]}\0",
        f"sha256:{SHA}\n", f" sha256:{SHA}", "sha256:" + "٣" * 64, f"sha256:{SHA}:{SHA}", SHA,
    ],
)  # fmt: skip
def test_what_is_not_a_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid, match="not a digest"):
        Digest.parse(text)


def test_the_message_of_a_huge_bad_digest_is_short() -> None:
    with pytest.raises(DigestInvalid) as caught:
        Digest.parse("sha256:" + "f" * 100_000)

    assert len(caught.value.message) < 400


@given(algorithms, st.lists(st.binary(max_size=300), max_size=6))
def test_a_hash_is_the_same_however_the_bytes_are_cut(algorithm: str, pieces: list[bytes]) -> None:
    hasher = Hasher(algorithm)
    for index, piece in enumerate(pieces):
        hasher.update([piece, bytearray(piece), memoryview(piece)][index % 3])

    assert hasher.digest().hex == hashlib.new(algorithm, b"".join(pieces)).hexdigest()
    assert hasher.digest() == Digest.of(b"".join(pieces), algorithm)


@given(algorithms, st.binary(max_size=500), st.binary(max_size=500))
def test_a_saved_hash_goes_on_elsewhere_as_if_never_stopped(algorithm: str, before: bytes, after: bytes) -> None:
    first = Hasher(algorithm)
    first.update(before)
    saved = first.save()
    first.update(b"what comes after saving is not in the state")
    second = Hasher.load(algorithm, saved)

    assert second is not None
    second.update(after)
    assert second.digest() == Digest.of(before + after, algorithm)


@pytest.mark.parametrize("saved", [None, b"", b"libcrypto", b"x" * 138, b"libcrypto-sha256-little-1:" + b"x" * 111])
def test_a_state_that_this_machine_did_not_save_is_not_loaded(saved: bytes | None) -> None:
    assert Hasher.load("sha256", saved) is None


def test_a_state_of_one_algorithm_is_not_loaded_as_another() -> None:
    assert Hasher.load("sha512", Hasher("sha256").save()) is None


def test_asking_for_the_digest_does_not_end_the_hash() -> None:
    hasher = Hasher()
    hasher.update(b"a")
    early = hasher.digest()
    hasher.update(b"b")

    assert early == Digest.of(b"a")
    assert hasher.digest() == Digest.of(b"ab")
