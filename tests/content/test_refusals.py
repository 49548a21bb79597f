import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard import errors
from dockyard.content.refusals import parse_retry_after, refusal


def body(code: str, message: str = "") -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (404, body("BLOB_UNKNOWN"), errors.BlobUnknown),
        (404, body("NAME_UNKNOWN"), errors.NameUnknown),
        (404, body("MANIFEST_UNKNOWN"), errors.ManifestUnknown),
        (404, body("BLOB_UPLOAD_UNKNOWN"), errors.BlobUploadUnknown),
        (404, b"<html>", errors.NotFound),
        (400, body("DIGEST_INVALID"), errors.DigestInvalid),
        (400, body("MANIFEST_INVALID"), errors.ManifestInvalid),
        (400, b"", errors.Invalid),
        (401, body("UNAUTHORIZED"), errors.Unauthenticated),
        (401, body("DENIED"), errors.Denied),
        (403, body("DENIED"), errors.Denied),
        (405, body("UNSUPPORTED"), errors.Unsupported),
        (409, b"", errors.Conflict),
        (413, b"", errors.TooLarge),
        (416, b"", errors.OutOfRange),
        (429, body("TOOMANYREQUESTS"), errors.TooMany),
        (500, b"", errors.Unavailable),
        (502, b"<html>", errors.Unavailable),
        (503, b"", errors.Unavailable),
        (507, b"", errors.Full),
        (404, body("DENIED"), errors.NotFound),
    ],
)
def test_each_answer_means_one_kind_of_error(status: int, content: bytes, kind: type[Exception]) -> None:
    assert type(refusal(status, {}, content, where="hub/app")) is kind


def test_the_registrys_own_words_are_kept_as_docker_prints_them() -> None:
    error = refusal(403, {}, body("DENIED", "requested access to the resource is denied"), where="hub/app")

    assert error.message == "hub/app: denied: requested access to the resource is denied"


def test_control_characters_of_a_registry_never_reach_a_terminal() -> None:
    error = refusal(400, {}, body("UNKNOWN", "\x1b[31mred\nline"), where="hub/app")

    assert error.message.isprintable()


def test_when_to_come_back_is_kept() -> None:
    error = refusal(429, {"Retry-After": "17"}, b"", where="hub/app")

    assert isinstance(error, errors.TooMany)
    assert error.retry_after == 17


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3), ("0", 0), ("-5", 0), ("1.5", 1.5), ("", None), ("soon", None), ("nan", None), ("inf", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90), ("Thu, 01 Jan 1970 00:00:01 GMT", 0), (None, None),
    ],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, 10.0) == seconds


json_values = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.integers(300, 599),
    st.binary(max_size=200) | json_values.map(lambda value: json.dumps({"errors": value}).encode()),
)
def test_any_body_gives_an_error_of_the_tree(status: int, content: bytes) -> None:
    assert isinstance(refusal(status, {}, content, where="hub"), errors.DockyardError)
