"""Blobs in a local folder: private, safe between processes, and full before the disk is."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dockyard.content.blobs import LocalBlobs
from dockyard.content.folders import file_system, make_folder, refuse_network_folder
from dockyard.errors import Conflict, Full, SettingInvalid, Unavailable
from dockyard.oci.digest import Digest

UPLOAD = "a" * 32
MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:30 / /srv/hub rw - nfs4 server:/export rw,vers=4.2
31 21 0:31 / /srv/hub\\040two rw - fuse.sshfs me@host: rw
32 30 0:32 / /srv/hub/local rw - xfs /dev/vdb rw
33 21 0:33 / /srv/over rw - ext4 /dev/vdc rw
34 33 0:34 / /srv/over rw - cifs //server/share rw
"""


def unguarded() -> None:
    """Nobody else holds the upload."""


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 24 MiB of its own."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def open_blobs():
    opened = []

    def open_one(folder: Path) -> LocalBlobs:
        opened.append(LocalBlobs(folder))
        return opened[-1]

    yield open_one
    for blobs in opened:
        blobs.close()


async def add(blobs, upload, content):
    ingest = await blobs.resume(upload, 0, "", unguarded)
    try:
        await ingest.write([content])
        return await ingest.commit(Digest.of(content))
    finally:
        ingest.close()


async def test_a_key_says_the_digest_and_the_upload(tmp_path, open_blobs):
    key = await add(open_blobs(tmp_path), UPLOAD, b"hello")
    digest = Digest.of(b"hello").hex

    assert key == f"sha256/{digest[:2]}/{digest}-{UPLOAD}"
    assert (tmp_path / "blobs" / key).read_bytes() == b"hello"


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
async def test_everything_belongs_to_its_owner_alone_whatever_the_umask(tmp_path, umask):
    script = f"""
import asyncio, os
from pathlib import Path
from dockyard.content.blobs import LocalBlobs
from dockyard.oci.digest import Digest
os.umask({umask})
async def main():
    blobs = LocalBlobs(Path({str(tmp_path)!r}) / "hub")
    ingest = await blobs.resume({UPLOAD!r}, 0, "", lambda: None)
    await ingest.write([b"hello"])
    await ingest.commit(Digest.of(b"hello"))
    ingest.close()
    blobs.close()
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "hub").rglob("*") if path.is_dir()}

    assert modes | {(tmp_path / "hub").stat().st_mode & 0o777} == {0o700}
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "hub").rglob("*") if path.is_file()} == {0}


async def test_a_full_disk_is_said_before_the_last_byte_is_taken_and_nothing_half_written_shows(tiny_disk, open_blobs):
    blobs = open_blobs(tiny_disk)
    kept = await add(blobs, "b" * 32, b"kept")
    with pytest.raises(Full):
        await add(blobs, UPLOAD, bytes(30 * 1024 * 1024))
    found = os.statvfs(tiny_disk)
    await blobs.discard(UPLOAD, "")

    assert found.f_bavail * found.f_frsize > 1024 * 1024
    assert [stored.key async for stored in blobs.walk()] == [kept]
    assert b"".join([piece async for piece in blobs.read(kept, 0, 4)]) == b"kept"
    assert await add(blobs, UPLOAD, bytes(8 * 1024 * 1024))


async def test_a_store_without_room_says_so(tiny_disk, open_blobs):
    blobs = open_blobs(tiny_disk)
    (tiny_disk / "other").write_bytes(bytes(23 * 1024 * 1024))

    with pytest.raises(Full):
        await blobs.check()


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable, match="file"):
        LocalBlobs(tmp_path / "file")


async def test_a_store_whose_folder_is_gone_says_so(tmp_path, open_blobs):
    blobs = open_blobs(tmp_path / "hub")
    (tmp_path / "hub" / "uploads").rmdir()

    with pytest.raises(Unavailable):
        await blobs.check()
    with pytest.raises(Unavailable):
        await blobs.resume(UPLOAD, 0, "", unguarded)


async def test_a_write_that_a_disk_kept_waiting_can_not_land_after_its_successor_began(tmp_path, open_blobs):
    blobs, entered, leave, holder = open_blobs(tmp_path), threading.Event(), threading.Event(), ["old"]

    def slow_guard() -> None:
        if holder != ["old"]:
            raise Conflict("another holds it")
        entered.set()
        leave.wait()

    leave.set()
    old = await blobs.resume(UPLOAD, 0, "", slow_guard)
    leave.clear()
    entered.clear()
    writing = asyncio.create_task(old.write([b"old" * 1000]))
    await asyncio.to_thread(entered.wait)
    holder[:] = ["new"]
    taking = asyncio.create_task(blobs.resume(UPLOAD, 0, "", unguarded))
    leave.set()
    await writing
    new = await taking
    await new.write([b"new"])
    with pytest.raises(Conflict):
        await old.write([b"old" * 1000])
    key = await new.commit(Digest.of(b"new"))
    old.close()
    new.close()

    assert blobs.path(key).read_bytes() == b"new"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/srv", "ext4"),
        ("/srv/hub", "nfs4"),
        ("/srv/hub/data", "nfs4"),
        ("/srv/hubs", "ext4"),
        ("/srv/hub two/data", "fuse.sshfs"),
        ("/srv/hub/local/data", "xfs"),
        ("/srv/over/data", "cifs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_its_nearest_mount(path, kind):
    assert file_system(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("kind", ["nfs4", "nfs", "cifs", "9p", "fuse.sshfs", "fuse.s3fs", "ceph", "smb3"])
def test_a_network_file_system_is_refused(tmp_path, monkeypatch, kind):
    mounts = f"1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / {tmp_path} rw - {kind} server rw\n"
    monkeypatch.setattr(Path, "read_text", lambda self: mounts)

    with pytest.raises(SettingInvalid, match=kind):
        refuse_network_folder(tmp_path)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuse.fuse-overlayfs"])
def test_a_local_file_system_is_taken(tmp_path, monkeypatch, kind):
    mounts = f"1 0 0:1 / / rw - nfs4 server rw\n2 1 0:2 / {tmp_path} rw - {kind} /dev/vdb rw\n"
    monkeypatch.setattr(Path, "read_text", lambda self: mounts)
    refuse_network_folder(tmp_path)

    assert file_system(tmp_path, mounts) == kind


def test_two_processes_may_make_a_folder_at_once(tmp_path):
    threads = [threading.Thread(target=make_folder, args=[tmp_path / "a"]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (tmp_path / "a").is_dir()
