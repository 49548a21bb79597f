"""The distribution specification, sections "Pushing blobs", "Cancel a blob upload" and "Mounting a blob"."""

from __future__ import annotations

import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from repository import OCTETS, Repository, absent, digest_of, refused, with_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub
    from wire import Answer

CHUNK = 1024
BLOB = os.urandom(3 * CHUNK - 5)  # three chunks, the last one short


@pytest.fixture
def repository(hub: Hub) -> Repository:
    return Repository(hub.host)


@pytest.fixture
def other(hub: Hub) -> Repository:
    return Repository(hub.host)


@pytest.fixture(params=["sha256", "sha512"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def check_pushed(repository: Repository, answer: Answer, data: bytes, digest: str) -> None:
    """201, with a Location from which exactly the pushed bytes are pulled."""
    assert answer.status == 201, answer
    assert answer.headers["Docker-Content-Digest"] == digest
    pulled = repository.ask("GET", answer.headers["Location"])
    assert (pulled.status, pulled.body) == (200, data)
    assert repository.ask("GET", f"blobs/{digest}").body == data


# ---- POST then PUT


def test_an_upload_starts_with_202_and_a_location(repository: Repository) -> None:
    """POST then PUT: the answer MUST be 202 and MUST include Location, which MUST contain a UUID."""
    answer = repository.ask("POST", "blobs/uploads/", b"", {"Content-Length": "0"})

    assert answer.status == 202
    assert uuid.UUID(answer.headers["Location"].partition("?")[0].rsplit("/", 1)[1])


def test_uploads_at_the_same_time_do_not_meet(repository: Repository) -> None:
    """POST then PUT: concurrent uploads of one or more clients MUST be supported (main)."""
    contents = [os.urandom(CHUNK) for _ in range(8)]
    locations = [repository.begin() for _ in contents]
    met = threading.Barrier(len(contents))

    def push(location: str, data: bytes) -> Answer:
        met.wait(60)
        following = repository.patch(location, data[:500]).headers["Location"]
        met.wait(60)
        return repository.close(following, digest_of(data), data[500:])

    with ThreadPoolExecutor(len(contents)) as pool:
        answers = list(pool.map(push, locations, contents))

    assert len(set(locations)) == len(contents)
    for answer, data in zip(answers, contents, strict=True):
        check_pushed(repository, answer, data, digest_of(data))


def test_a_blob_is_pushed_with_post_and_put(repository: Repository, algorithm: str) -> None:
    """POST then PUT: the answer MUST be 201 and MUST have a Location, a pullable URL."""
    digest = digest_of(BLOB, algorithm)

    check_pushed(repository, repository.close(repository.begin(), digest, BLOB), BLOB, digest)


# ---- Single POST


def test_a_blob_is_pushed_with_one_post(repository: Repository, algorithm: str) -> None:
    """Single POST: success MUST be 201 and MUST include a Location, a pullable URL."""
    digest = digest_of(BLOB, algorithm)
    answer = repository.ask("POST", f"blobs/uploads/?digest={digest}", BLOB, {"Content-Type": OCTETS})

    check_pushed(repository, answer, BLOB, digest)


# ---- Digests that are wrong


def with_post(repository: Repository, digest: str) -> Answer:
    return repository.ask("POST", f"blobs/uploads/?digest={digest}", BLOB)


def with_post_and_put(repository: Repository, digest: str) -> Answer:
    return repository.close(repository.begin(), digest, BLOB)


def with_a_stream(repository: Repository, digest: str) -> Answer:
    answer = repository.ask("PATCH", repository.begin(), iter([BLOB[:100], BLOB[100:]]))
    return repository.close(answer.headers["Location"], digest)


def with_chunks(repository: Repository, digest: str) -> Answer:
    location = repository.begin()
    for start in range(0, len(BLOB), CHUNK):
        location = repository.patch(location, BLOB[start : start + CHUNK], start).headers["Location"]
    return repository.close(location, digest)


def with_the_last_chunk_in_put(repository: Repository, digest: str) -> Answer:
    location = repository.begin()
    for start in (0, CHUNK):
        location = repository.patch(location, BLOB[start : start + CHUNK], start).headers["Location"]
    return repository.close(location, digest, BLOB[2 * CHUNK :], 2 * CHUNK)


WAYS = [with_post, with_post_and_put, with_a_stream, with_chunks, with_the_last_chunk_in_put]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@ways
def test_a_blob_that_is_not_what_its_digest_says_is_refused(
    repository: Repository, way: Callable[..., Answer], algorithm: str
) -> None:
    """Pushing blobs: an invalid digest SHOULD be answered with 400; Single POST: the digest MUST match."""
    wrong = absent(algorithm)
    refused(way(repository, wrong), 400, "DIGEST_INVALID")

    assert repository.ask("HEAD", f"blobs/{wrong}").status == 404
    assert repository.ask("HEAD", f"blobs/{digest_of(BLOB, algorithm)}").status == 404


@ways
@pytest.mark.parametrize("digest", ["sha256:abc", "md5:" + "0" * 32, "blake3:" + "0" * 64, "nonsense", "sha256:"])
def test_a_digest_of_no_known_algorithm_or_form_is_refused(
    repository: Repository, way: Callable[..., Answer], digest: str
) -> None:
    """Pushing blobs: an unsupported algorithm or invalid digest SHOULD be answered with 400 (main)."""
    refused(way(repository, digest), 400, "DIGEST_INVALID")


@pytest.mark.parametrize("unknown", ["md5", "blake3", "SHA256", "sha256 "])
def test_an_upload_for_an_algorithm_that_is_not_known_is_refused(repository: Repository, unknown: str) -> None:
    """Pushing a blob in chunks: digest-algorithm; Pushing blobs: unsupported ones SHOULD be 400 (main)."""
    query = unknown.replace(" ", "%20")
    refused(repository.ask("POST", f"blobs/uploads/?digest-algorithm={query}", b""), 400, "DIGEST_INVALID")


# ---- Pushing a blob in chunks


@ways
def test_a_blob_can_be_pushed_in_every_way(repository: Repository, way: Callable[..., Answer], algorithm: str) -> None:
    """Pushing a blob in chunks: closing the session MUST be 201 and MUST have a Location, a pullable URL."""
    digest = digest_of(BLOB, algorithm)

    check_pushed(repository, way(repository, digest), BLOB, digest)


@pytest.mark.parametrize("announced", ["sha256", "sha512"])
def test_a_blob_may_be_named_by_the_algorithm_that_was_announced_or_by_another(
    repository: Repository, announced: str, algorithm: str
) -> None:
    """Pushing a blob in chunks: the post SHOULD include digest-algorithm (main); leaving it out is no error."""
    digest = digest_of(BLOB, algorithm)
    location = repository.begin(f"digest-algorithm={announced}")
    for start in range(0, len(BLOB), CHUNK):
        location = repository.patch(location, BLOB[start : start + CHUNK], start).headers["Location"]

    check_pushed(repository, repository.close(location, digest), BLOB, digest)


def test_each_chunk_is_acknowledged_with_where_the_upload_stands(repository: Repository) -> None:
    """Pushing a blob in chunks: each chunk MUST be answered with 202, Location and Range: 0-<last byte>."""
    location = repository.begin()
    for start in range(0, len(BLOB), CHUNK):
        answer = repository.patch(location, BLOB[start : start + CHUNK], start)
        location = answer.headers["Location"]

        assert answer.status == 202
        assert answer.headers["Range"] == f"0-{min(start + CHUNK, len(BLOB)) - 1}"
        assert answer.headers["Content-Length"] == "0"


def test_a_registry_without_a_least_size_of_chunks_names_none(repository: Repository) -> None:
    """Pushing a blob in chunks: OCI-Chunk-Min-Length SHOULD be sent where there is one; one byte is enough here."""
    begun = repository.ask("POST", "blobs/uploads/", b"")
    location = begun.headers["Location"]
    for start, byte in enumerate(b"abc"):
        location = repository.patch(location, bytes([byte]), start).headers["Location"]

    assert "OCI-Chunk-Min-Length" not in begun.headers
    check_pushed(repository, repository.close(location, digest_of(b"abc")), b"abc", digest_of(b"abc"))


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [
        ("gap", 2 * CHUNK, 3 * CHUNK), ("repeated", 0, CHUNK), ("overlap", CHUNK - 1, 2 * CHUNK),
        ("one too far", CHUNK + 1, 2 * CHUNK), ("from zero", 0, 2 * CHUNK),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_chunk_out_of_order_is_refused_and_changes_nothing(
    repository: Repository, method: str, name: str, begin: int, end: int
) -> None:
    """Pushing a blob in chunks: 416 MUST be the answer, for a PATCH and (main) for the closing PUT."""
    location = repository.patch(repository.begin(), BLOB[:CHUNK], 0).headers["Location"]
    wrong, digest = BLOB[begin:end], digest_of(BLOB)
    if method == "PUT":
        answer = repository.close(location, digest, wrong, begin)
    else:
        answer = repository.patch(location, wrong, begin)
    refused(answer, 416, "BLOB_UPLOAD_INVALID")
    assert answer.headers["Range"] == f"0-{CHUNK - 1}"
    status = repository.ask("GET", answer.headers["Location"])

    assert (status.status, status.headers["Range"]) == (204, f"0-{CHUNK - 1}")
    check_pushed(repository, repository.close(status.headers["Location"], digest, BLOB[CHUNK:], CHUNK), BLOB, digest)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_the_first_chunk_begins_with_zero(repository: Repository, method: str) -> None:
    """Pushing a blob in chunks: the first chunk's range MUST begin with 0; out of order MUST be 416."""
    location, digest = repository.begin(), digest_of(BLOB)
    if method == "PUT":
        answer = repository.close(location, digest, BLOB[CHUNK:], CHUNK)
    else:
        answer = repository.patch(location, BLOB[CHUNK:], CHUNK)
    refused(answer, 416, "BLOB_UPLOAD_INVALID")

    # The digest in the query of the refused PUT does not confuse the question where the upload stands.
    status = repository.ask("GET", with_query(location, f"digest={digest}"))
    assert (status.status, status.headers["Range"]) == (204, "0-0")
    check_pushed(repository, repository.close(status.headers["Location"], digest, BLOB, 0), BLOB, digest)


def test_a_blob_is_there_only_after_the_session_was_closed(repository: Repository) -> None:
    """Pushing a blob in chunks: the session MUST be closed with a PUT."""
    location = repository.patch(repository.begin(), BLOB, 0).headers["Location"]
    before = repository.ask("HEAD", f"blobs/{digest_of(BLOB)}")
    check_pushed(repository, repository.close(location, digest_of(BLOB)), BLOB, digest_of(BLOB))

    assert before.status == 404


def test_a_session_is_not_closed_without_the_digest(repository: Repository) -> None:
    """Pushing a blob in chunks: the closing PUT MUST include the digest of the whole blob."""
    location = repository.patch(repository.begin(), BLOB, 0).headers["Location"]
    refused(repository.ask("PUT", location, b""), 400, "DIGEST_INVALID")
    status = repository.ask("GET", location)

    assert status.headers["Range"] == f"0-{len(BLOB) - 1}"
    check_pushed(repository, repository.close(location, digest_of(BLOB)), BLOB, digest_of(BLOB))


def test_the_digest_is_that_of_the_whole_blob_and_not_of_the_last_chunk(repository: Repository) -> None:
    """Pushing a blob in chunks: the digest MUST be that of the whole blob."""
    location = repository.patch(repository.begin(), BLOB[:CHUNK], 0).headers["Location"]
    rest = BLOB[CHUNK:]
    refused(repository.close(location, digest_of(rest), rest, CHUNK), 400, "DIGEST_INVALID")

    assert repository.ask("HEAD", f"blobs/{digest_of(rest)}").status == 404


def test_an_upload_says_where_it_stands(repository: Repository) -> None:
    """Pushing a blob in chunks: GET of an active upload MUST be 204 with Location and Range."""
    location = repository.begin()
    stands = [repository.ask("GET", location)]
    for end in (1, 2, CHUNK):
        at = int(stands[-1].headers["Range"].removeprefix("0-"))
        start = at + 1 if end > 1 else 0
        location = repository.patch(stands[-1].headers["Location"], BLOB[start:end], start).headers["Location"]
        stands.append(repository.ask("GET", location))

    assert [answer.status for answer in stands] == [204] * 4
    assert [answer.headers["Range"] for answer in stands] == ["0-0", "0-0", "0-1", f"0-{CHUNK - 1}"]
    assert [answer.body for answer in stands] == [b""] * 4


def test_an_upload_that_is_not_there_is_not_found(repository: Repository, other: Repository) -> None:
    """Endpoints: 404 for an upload that is not there, or is another repository's."""
    unknown = f"{repository.path}/blobs/uploads/{uuid.uuid4().hex}"
    foreign = other.begin().replace(other.name, repository.name)
    for location in (unknown, foreign):
        refused(repository.ask("GET", location), 404, "BLOB_UPLOAD_UNKNOWN")
        refused(repository.patch(location, b"x"), 404, "BLOB_UPLOAD_UNKNOWN")
        refused(repository.close(location, digest_of(b"x"), b"x"), 404, "BLOB_UPLOAD_UNKNOWN")
        refused(repository.ask("DELETE", location), 404, "BLOB_UPLOAD_UNKNOWN")

    assert repository.ask("HEAD", f"blobs/{digest_of(b'x')}").status == 404


# ---- Cancel a blob upload


def test_a_canceled_upload_is_gone(repository: Repository) -> None:
    """Cancel a blob upload: DELETE SHOULD be answered with 204 (main)."""
    location = repository.patch(repository.begin(), BLOB, 0).headers["Location"]
    canceled = repository.ask("DELETE", location, b"", {"Content-Length": "0"})

    assert (canceled.status, canceled.body) == (204, b"")
    refused(repository.ask("GET", location), 404, "BLOB_UPLOAD_UNKNOWN")
    refused(repository.close(location, digest_of(BLOB)), 404, "BLOB_UPLOAD_UNKNOWN")
    assert repository.ask("HEAD", f"blobs/{digest_of(BLOB)}").status == 404


def test_an_unfinished_upload_is_dropped_in_the_end(start_hub: Callable[..., Hub]) -> None:
    """Cancel a blob upload: the server SHOULD eventually time out unfinished uploads (main)."""
    hub = start_hub()
    repository = Repository(hub.host)
    location = repository.patch(repository.begin(), BLOB, 0).headers["Location"]
    session = location.partition("?")[0].rsplit("/", 1)[1]
    assert [path for path in hub.data.rglob("*") if session in path.name]
    hub.stop()
    hub = start_hub(data=hub.data, env={"DOCKYARD_SERVE_UPLOAD_EXPIRY": "0"})
    deadline = time.monotonic() + 60
    while [path for path in hub.data.rglob("*") if session in path.name] and time.monotonic() < deadline:
        time.sleep(0.05)

    refused(Repository(hub.host).ask("GET", location), 404, "BLOB_UPLOAD_UNKNOWN")


# ---- Mounting a blob from another repository


def test_a_blob_is_mounted_from_another_repository(repository: Repository, other: Repository, algorithm: str) -> None:
    """Mounting a blob: success MUST be 201 and MUST contain Location."""
    data = os.urandom(CHUNK)
    digest = other.blob(data, algorithm=algorithm)["digest"]
    assert repository.ask("HEAD", f"blobs/{digest}").status == 404
    answer = repository.ask("POST", f"blobs/uploads/?mount={digest}&from={other.name}", b"")

    check_pushed(repository, answer, data, digest)
    assert answer.headers["Location"].endswith(f"{repository.path}/blobs/{digest}")


def test_a_blob_is_mounted_from_wherever_it_is(repository: Repository, other: Repository, algorithm: str) -> None:
    """Mounting a blob: from MAY be left out, and the blob MAY be mounted if it can be found."""
    data = os.urandom(CHUNK)
    digest = other.blob(data, algorithm=algorithm)["digest"]

    check_pushed(repository, repository.ask("POST", f"blobs/uploads/?mount={digest}", b""), data, digest)


@pytest.mark.parametrize("origin", ["&from={other}", "&from=spec/nobody", ""], ids=["not there", "absent", "nowhere"])
def test_a_mount_that_can_not_be_begins_an_upload(
    repository: Repository, other: Repository, origin: str, algorithm: str
) -> None:
    """Mounting a blob: unable to mount SHOULD be 202: the upload session has begun."""
    data = os.urandom(CHUNK)
    digest = digest_of(data, algorithm)
    answer = repository.ask("POST", f"blobs/uploads/?mount={digest}{origin.format(other=other.name)}", b"")

    assert answer.status == 202
    check_pushed(repository, repository.close(answer.headers["Location"], digest, data), data, digest)
