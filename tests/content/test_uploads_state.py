import multiprocessing
import stat
from multiprocessing.connection import Connection
from pathlib import Path

from dockyard.content.uploads_state import WORTH_KEEPING, UploadSessions
from dockyard.oci.digest import Digest

DIGEST = Digest.of(b"x")
LOCATION = "https://hub/v2/a/blobs/uploads/1?_state=secret"


def keep(sessions: UploadSessions, location: str = LOCATION, size: int = WORTH_KEEPING) -> None:
    with sessions.claim("hub", "a", DIGEST, size=size) as claim:
        claim.keep(location)


def known(sessions: UploadSessions, registry: str = "hub", repository: str = "a", size: int = WORTH_KEEPING) -> str:
    with sessions.claim(registry, repository, DIGEST, size=size) as claim:
        return claim.location


def test_an_upload_is_known_to_the_next_process(tmp_path: Path) -> None:
    keep(UploadSessions(tmp_path), "a much longer location than the next one")
    keep(UploadSessions(tmp_path))

    assert known(UploadSessions(tmp_path)) == LOCATION
    assert known(UploadSessions(tmp_path), repository="b") == ""
    assert known(UploadSessions(tmp_path), registry="pub") == ""


def test_a_small_upload_is_known_to_this_process_only(tmp_path: Path) -> None:
    sessions = UploadSessions(tmp_path)
    keep(sessions, size=10)

    assert known(sessions, size=10) == LOCATION
    assert not list(tmp_path.iterdir())


def test_a_dropped_upload_is_gone_for_everybody(tmp_path: Path) -> None:
    sessions = UploadSessions(tmp_path)
    keep(sessions)
    with sessions.claim("hub", "a", DIGEST, size=WORTH_KEEPING) as claim:
        claim.drop()

        assert claim.location == ""
    assert not list(tmp_path.iterdir())
    assert known(sessions) == ""
    assert not list(tmp_path.iterdir())


def test_an_upload_has_one_writer_and_whoever_is_second_knows_nothing_of_it(tmp_path: Path) -> None:
    for sessions, other in [
        (shared := UploadSessions(tmp_path), shared),
        (UploadSessions(tmp_path), UploadSessions(tmp_path)),
    ]:
        keep(sessions)
        with sessions.claim("hub", "a", DIGEST, size=WORTH_KEEPING) as first:
            with other.claim("hub", "a", DIGEST, size=WORTH_KEEPING) as second:
                second.keep("https://hub/elsewhere")
                second.drop()

                assert second.location == ""
            assert first.location == LOCATION
        assert known(UploadSessions(tmp_path)) == LOCATION


def _claim(folder: Path, ready: Connection) -> None:
    with UploadSessions(folder).claim("hub", "a", DIGEST, size=WORTH_KEEPING) as claim:
        claim.keep(LOCATION)
        ready.send(True)
        ready.recv()


def test_the_upload_of_a_killed_process_is_free_again(tmp_path: Path) -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_claim, args=(tmp_path, there))
    process.start()
    here.recv()
    meanwhile = known(UploadSessions(tmp_path))
    process.kill()
    process.join()

    assert meanwhile == ""
    assert known(UploadSessions(tmp_path)) == LOCATION


def test_nobody_else_reads_where_an_upload_can_be_written(tmp_path: Path) -> None:
    keep(UploadSessions(tmp_path / "new"))
    (file,) = (tmp_path / "new").iterdir()

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    keep(UploadSessions(tmp_path))
    (file,) = tmp_path.iterdir()
    for damage in (b"", b"{", b"[]", b'{"location": 3}', b"\xff"):
        file.write_bytes(damage)

        assert known(UploadSessions(tmp_path)) == ""
