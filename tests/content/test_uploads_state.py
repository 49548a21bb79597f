import stat
from pathlib import Path

from dockyard.content.uploads_state import WORTH_KEEPING, UploadSession, UploadSessions
from dockyard.oci.digest import Digest

DIGEST = Digest.of(b"x")
SESSION = UploadSession("https://hub/v2/a/blobs/uploads/1?_state=secret")


def test_an_upload_is_known_to_the_next_process(tmp_path: Path) -> None:
    UploadSessions(tmp_path).put("hub", "a", DIGEST, SESSION, size=WORTH_KEEPING)

    assert UploadSessions(tmp_path).get("hub", "a", DIGEST) == SESSION
    assert UploadSessions(tmp_path).get("hub", "b", DIGEST) is None
    assert UploadSessions(tmp_path).get("pub", "a", DIGEST) is None


def test_a_small_upload_is_known_to_this_process_only(tmp_path: Path) -> None:
    sessions = UploadSessions(tmp_path)
    sessions.put("hub", "a", DIGEST, SESSION, size=10)

    assert sessions.get("hub", "a", DIGEST) == SESSION
    assert not list(tmp_path.iterdir())


def test_a_forgotten_upload_is_gone_for_everybody(tmp_path: Path) -> None:
    sessions = UploadSessions(tmp_path)
    sessions.put("hub", "a", DIGEST, SESSION, size=WORTH_KEEPING)
    sessions.forget("hub", "a", DIGEST)

    assert sessions.get("hub", "a", DIGEST) is None
    assert not list(tmp_path.iterdir())


def test_nobody_else_reads_where_an_upload_can_be_written(tmp_path: Path) -> None:
    UploadSessions(tmp_path / "new").put("hub", "a", DIGEST, SESSION, size=WORTH_KEEPING)
    (file,) = (tmp_path / "new").iterdir()

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "secret" not in repr(SESSION)


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    UploadSessions(tmp_path).put("hub", "a", DIGEST, SESSION, size=WORTH_KEEPING)
    (file,) = tmp_path.iterdir()
    for damage in (b"", b"{", b"[]", b'{"location": 3}', b"\xff"):
        file.write_bytes(damage)

        assert UploadSessions(tmp_path).get("hub", "a", DIGEST) is None
