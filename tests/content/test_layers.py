"""Layers: the tar that every program reads, the same bytes from the same entries, and what is said about them."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import GZIP, ZSTD, Layout
from servers import must
from written_layers import Written, file, folder, hardlink, special, symlink, write

from dockyard.content.frame_format import frames
from dockyard.content.layers import Entry
from dockyard.content.tar import Kind, members
from dockyard.content.tar_writer import header
from dockyard.content.trees import Node
from dockyard.errors import Conflict, Unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Containers, Dockerd

NOW = 1_700_000_000
NS = 1_000_000_000
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")[:20]
SAMPLE: list[Any] = [
    folder("etc", mode=0o755, mtime=NOW * NS),
    file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n", mtime=NOW * NS),
    folder("tmp", mode=0o1777),
    folder("usr"),
    folder("usr/bin"),
    file("usr/bin/ping", b"\x7fELF", mode=0o4755, xattrs={"security.capability": CAPABILITY, "user.b": b"\0=\n\xff"}),
    hardlink("usr/bin/ping6", "usr/bin/ping"),
    file("usr/big", os.urandom(900_000), uid=1000, gid=1001),
    file("usr/" + "very long name/" * 18 + "file", b"x"),
    file("usr/größe \N{SNOWMAN}", b"x" * 513),
    symlink("bin", "usr/bin"),
    symlink("long", "a/" * 120),
    special("null", b"3", (1, 3)),
    special("sda", b"4", (8, 0)),
    special("pipe", b"6"),
    file("usr/.wh.gone"),
    file("usr/bin/.wh..wh..opq"),
]


@pytest.fixture(scope="module", params=["gzip", "zstd"])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("store"), SAMPLE, request.param)


def test_what_a_layer_says_of_itself_is_so(sample: Written) -> None:
    layer = sample.layer
    raw = sample.blob.read_bytes()

    assert str(layer.digest) == "sha256:" + hashlib.sha256(raw).hexdigest()
    assert layer.size == len(raw)
    assert str(layer.diff_id) == "sha256:" + hashlib.sha256(sample.plain).hexdigest()
    assert layer.unpacked_size == len(sample.plain)
    assert layer.media_type in (GZIP, ZSTD)
    assert layer.newest == NOW
    assert layer.texts == {"etc/passwd": b"root:x:0:0::/root:/bin/sh\n"}
    assert [entry.path for entry in layer.index] == [entry.path for entry, _ in SAMPLE]
    assert sum(frame.plain for frame in frames(sample.blob)) == len(sample.plain)


def test_pythons_tarfile_reads_what_was_written(sample: Written) -> None:
    with tarfile.open(fileobj=io.BytesIO(sample.plain)) as archive:
        found = {member.name: member for member in archive}

        for entry, content in SAMPLE:
            member, node = found[entry.path], entry.node
            assert (member.mode, member.uid, member.gid, member.mtime) == (
                node.mode, node.uid, node.gid, node.mtime // NS
            )  # fmt: skip
            assert member.linkname == node.link
            if node.kind is Kind.FILE:
                reader = archive.extractfile(member)
                assert reader and reader.read() == content
        assert found["null"].type == tarfile.CHRTYPE and (found["null"].devmajor, found["null"].devminor) == (1, 3)
        assert found["sda"].type == tarfile.BLKTYPE and found["sda"].devmajor == 8
        assert found["pipe"].type == tarfile.FIFOTYPE and found["usr/bin/ping6"].type == tarfile.LNKTYPE
    assert sample.plain.endswith(bytes(1024))


def test_gnu_tar_unpacks_what_was_written(sample: Written, tmp_path: Path) -> None:
    done = subprocess.run(
        ["tar", "--xattrs", "--xattrs-include=*", "-xf", "-", "-C", tmp_path], input=sample.plain, capture_output=True
    )

    assert (done.returncode, done.stderr) == (0, b"")
    for entry, content in SAMPLE:
        found = (tmp_path / entry.path).lstat()

        assert (found.st_uid, found.st_gid) == (entry.node.uid, entry.node.gid)
        if entry.node.kind is not Kind.SYMLINK and entry.node.kind is not Kind.HARDLINK:
            assert found.st_mode & 0o7777 == entry.node.mode
        if entry.node.kind is Kind.FILE:
            assert (tmp_path / entry.path).read_bytes() == content
    ping = tmp_path / "usr/bin/ping"
    assert ping.samefile(tmp_path / "usr/bin/ping6")
    assert os.getxattr(ping, "security.capability") == CAPABILITY
    assert os.getxattr(ping, "user.b") == b"\0=\n\xff"


@pytest.mark.slow
@pytest.mark.parametrize(("reader", "compression"), [
    ("skopeo", "gzip"), ("skopeo", "zstd"), ("podman", "gzip"), ("podman", "zstd"),
    ("umoci", "gzip"), ("docker", "gzip"),  # umoci has no zstd; docker takes it from registries alone
])  # fmt: skip
def test_programs_that_hold_images_take_our_layers(
    request: pytest.FixtureRequest, tmp_path: Path, containers: Containers, reader: str, compression: Any
) -> None:
    entries = [entry for entry in SAMPLE if ".wh." not in entry[0].path and entry[0].node.kind is not Kind.SPECIAL]
    made = write(tmp_path / "store", entries, compression)
    (tmp_path / "layout").mkdir()
    layout = Layout(tmp_path / "layout")
    layer = layout.blob(made.blob, made.layer.media_type)
    layout.name(layout.image([layer], [str(made.layer.diff_id)], config={"Cmd": ["/x"]}))
    source = f"oci:{layout.folder}:latest"
    content = {entry.path: data for entry, data in entries if data}
    out = tmp_path / "out"
    if reader == "skopeo":
        containers.ok("skopeo", "copy", "--dest-decompress", source, f"dir:{out}")

        assert (out / made.layer.diff_id.hex).read_bytes() == made.plain
        return
    if reader == "umoci":
        must("umoci", "unpack", "--rootless", "--image", f"{layout.folder}:latest", out)
        root = out / "rootfs"
    else:
        archive = tmp_path / "image.tar"
        if reader == "podman":
            containers.ok("podman", "pull", source)
            name = containers.ok("podman", "images", "-q").strip()
            made_name = containers.ok("podman", "create", name)
            containers.ok("podman", "export", "-o", archive, made_name.strip())
        else:
            dockerd: Dockerd = request.getfixturevalue("dockerd")
            containers.ok("skopeo", "copy", source, f"docker-archive:{tmp_path / 'load.tar'}:ours/{compression}:v1")
            dockerd.ok("load", "-i", tmp_path / "load.tar")
            made_name = dockerd.ok("create", f"ours/{compression}:v1").strip()
            dockerd.ok("export", "-o", archive, made_name)
            dockerd.ok("rm", made_name)
        root = out
        out.mkdir()
        must("tar", "-xf", archive, "-C", out)

    assert {path: (root / path).read_bytes() for path in content} == content


def test_the_same_entries_give_the_same_bytes_however_many_threads_write(tmp_path: Path) -> None:
    first = write(tmp_path, SAMPLE, threads=1)

    assert write(tmp_path, SAMPLE, threads=7).layer.digest == first.layer.digest
    assert write(tmp_path, SAMPLE, "zstd").layer.diff_id == first.layer.diff_id


def test_content_from_a_file_is_as_content_from_memory(tmp_path: Path) -> None:
    in_memory = write(tmp_path, SAMPLE)
    from_files = write(
        tmp_path, [(entry, io.BytesIO(data) if isinstance(data, bytes) else None) for entry, data in SAMPLE]
    )

    assert from_files.layer.digest == in_memory.layer.digest
    assert from_files.layer.texts == in_memory.layer.texts


def test_known_bytes_of_tar_stay_as_they_are(tmp_path: Path) -> None:
    """A change of these makes all caches of builds miss, and all layers new: not to be done by accident."""
    entries = [
        folder("app", mtime=NOW * NS), file("app/a", b"hello\n", mtime=NOW * NS, xattrs={"user.x": b"1"}),
        symlink("app/b", "a", mtime=NOW * NS), file("x" * 120, b"", uid=2**21, mtime=NOW * NS),
    ]  # fmt: skip
    layer = write(tmp_path, entries).layer

    assert str(layer.diff_id) == "sha256:1409c7e54852db445a45d2cbee6422676c7dac9c0541a344f5f08d971c67b823"


def test_times_are_cut_to_seconds_and_not_after_the_clamp(tmp_path: Path) -> None:
    entries = [file("old", mtime=5 * NS + 999_999_999), file("new", mtime=NOW * NS + 1), file("older", mtime=-5)]
    kept, clamped = write(tmp_path, entries), write(tmp_path, entries, clamp=100)

    assert [member.mtime for member in kept.members()] == [5, NOW, -1]
    assert [member.mtime for member in clamped.members()] == [5, 100, -1]
    assert [entry.node.mtime for entry in clamped.layer.index] == [5 * NS, 100 * NS, -NS]
    assert (kept.layer.newest, clamped.layer.newest) == (NOW, 100)


def test_an_empty_layer_is_the_one_that_everybody_has(tmp_path: Path) -> None:
    layer = write(tmp_path, []).layer

    assert str(layer.diff_id) == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    assert (layer.newest, layer.unpacked_size, layer.index) == (0, 1024, [])


@pytest.mark.parametrize("data", [b"12", b"1234", None, io.BytesIO(b"12"), io.BytesIO(b"1234")])
@pytest.mark.parametrize("path", ["f", "etc/passwd"])
def test_content_of_another_length_is_refused_and_leaves_nothing(tmp_path: Path, data: Any, path: str) -> None:
    if isinstance(data, io.BytesIO):
        data.seek(0)
    with pytest.raises(Conflict, match=f"{path} changed while it was read"):
        write(tmp_path, [(Entry(path, Node(Kind.FILE, 0o644, size=3)), data)])

    assert not (tmp_path / "blobs").exists() and not list((tmp_path / "ingest").iterdir())


@pytest.mark.parametrize(("path", "node", "says"), [
    ("a\0b", Node(Kind.FILE, 0o644), "zero byte"),
    ("a", Node(Kind.SYMLINK, 0o777, link="x\0"), "zero byte"),
    ("a", Node(Kind.SPECIAL, 0o644, type=b"7"), "can't hold"),
    ("a", Node(Kind.FILE, 0o644, xattrs={"user.a=b": b""}), "user.a=b"),
    ("a", Node(Kind.FILE, 0o644, uid=2**31), "largest"),
    ("a", Node(Kind.FILE, 0o644, gid=2**32 - 2), "largest"),
    ("a", Node(Kind.FILE, 0o644, xattrs={f"user.{n}": bytes(60_000) for n in range(20)}), "more extended attributes"),
])  # fmt: skip
def test_what_a_tar_cannot_hold_is_refused_by_name(path: str, node: Node, says: str) -> None:
    with pytest.raises(Unsupported, match=says):
        header(path, node)


@pytest.mark.parametrize(("name", "blocks"), [
    ("a" * 100, 1),
    ("a" * 101, 3),
    ("p" * 155 + "/" + "n" * 100, 1),
    ("p" * 156 + "/" + "n" * 100, 3),
    ("p/" * 77 + "n" * 100, 1),
    ("p" * 30 + "/" + "n" * 101, 3),
    ("ä", 3),
    ("a/" * 2000 + "b", 10),
])  # fmt: skip
def test_a_name_goes_into_ustars_fields_where_they_hold_it(name: str, blocks: int) -> None:
    made = header(name, Node(Kind.FILE, 0o644))
    (member,) = members(io.BytesIO(made + bytes(1024)))

    assert len(made) == 512 * blocks
    assert member.name == name
    assert tarfile.TarFile(fileobj=io.BytesIO(made + bytes(1024))).getnames() == [name]


@pytest.mark.parametrize("length", range(98, 103))
def test_a_folder_keeps_its_slash(length: int) -> None:
    name = "d" * 50 + "/" + "e" * (length - 51)
    (member,) = members(io.BytesIO(header(name, Node(Kind.FOLDER, 0o755)) + bytes(1024)))

    assert member.name == name + "/" and member.kind is Kind.FOLDER


@pytest.mark.parametrize("size", [0, 8**11 - 1, 8**11, 2**40])
def test_sizes_of_any_length_are_written(size: int) -> None:
    made = header("big", Node(Kind.FILE, 0o644, size=size))
    member = tarfile.TarInfo.frombuf(made[-512:], "utf-8", "strict")

    assert member.size == (size if size < 8**11 else 0)
    assert (b" size=%d\n" % size in made) == (size >= 8**11)


@pytest.mark.parametrize("number", [0, 2**21 - 1, 2**21, 2**31 - 1])
def test_owners_of_any_length_are_written(number: int) -> None:
    (member,) = members(io.BytesIO(header("a", Node(Kind.FILE, 0o644, number, number)) + bytes(1024)))

    assert (member.uid, member.gid) == (number, number)


@pytest.mark.parametrize("length", [*range(1, 120), *range(980, 1010), *range(9980, 10010)])
def test_the_length_of_a_pax_record_counts_its_own_digits(length: int) -> None:
    made = header("a", Node(Kind.FILE, 0o644, xattrs={"user.x": b"v" * length}))
    (member,) = members(io.BytesIO(made + bytes(1024)))

    assert member.xattrs == {"user.x": b"v" * length}


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda n: n not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=8).map("/".join)
nodes = st.builds(
    Node, st.sampled_from([Kind.FILE, Kind.FOLDER, Kind.SYMLINK]), st.integers(0, 0o7777),
    st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(-(2**33), 2**33).map(lambda s: s * NS),
    st.just(0), xattrs=st.dictionaries(st.sampled_from(["user.a", "security.capability"]), st.binary(max_size=80)),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(paths, nodes, paths), max_size=6))
def test_every_header_that_is_written_is_read_again(made: list[tuple[str, Node, str]]) -> None:
    written = b""
    expected = []
    for path, node, target in made:
        link = target if node.kind is Kind.SYMLINK else ""
        written += header(path, Node(node.kind, node.mode, node.uid, node.gid, node.mtime, 0, link, xattrs=node.xattrs))
        name = path + "/" if node.kind is Kind.FOLDER else path
        expected.append((name, node.kind, node.mode, node.uid, node.gid, node.mtime, link, dict(node.xattrs)))
    found = members(io.BytesIO(written + bytes(1024)))

    assert expected == [(m.name, m.kind, m.mode, m.uid, m.gid, m.mtime, m.link, dict(m.xattrs)) for m in found]


def test_names_that_are_no_utf_8_stay_as_they_are(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    made = write(tmp_path, [file(name, b"x")])
    subprocess.run(["tar", "-xf", "-", "-C", tmp_path], input=made.plain, check=True)

    assert os.fsencode(name) in os.listdir(os.fsencode(tmp_path))
    assert next(iter(members(io.BytesIO(made.plain)))).name == name
