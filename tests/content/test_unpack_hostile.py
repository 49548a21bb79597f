"""Layers that try to get out of the folder they are unpacked in: whatever they do, what is outside stays as it was."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from content.layer_tars import (
    END,
    file,
    folder,
    hardlink,
    header,
    layer,
    names,
    opaque,
    padded,
    pax,
    symlink,
    tree,
    umoci_tree,
    whiteout,
)

from dockyard.content.tree_removal import remove_tree
from dockyard.content.unpack import apply_layer
from dockyard.errors import ArchiveInvalid, DockyardError

pytestmark = pytest.mark.slow

MODES = ["overlay", "remove"]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the target, which no layer may change; neither may it change what is above."""
    canary = tmp_path / "canary"
    canary.mkdir(mode=0o700)
    (canary / "file").write_text("singing")
    (canary / "file").chmod(0o600)
    os.symlink("file", canary / "link")
    before = state(canary)
    above = sorted(os.listdir(tmp_path.parent))
    yield canary

    assert state(canary) == before
    assert sorted(os.listdir(tmp_path.parent)) == above
    assert set(os.listdir(tmp_path)) <= {"canary", "fs", "blob", "layout", "umoci"}


def state(top: Path) -> list[object]:
    """All that could be changed of a folder's files."""
    paths = [top, *sorted(top.rglob("*"))]
    return [*tree(top), *((p.name, p.lstat()[:8], p.lstat().st_ctime_ns, os.listxattr(p)) for p in paths)]


def unpack(tmp_path: Path, *layers: bytes, whiteouts: str = "remove") -> Path:
    """Unpack layers one over the other and return the folder."""
    target = tmp_path / "fs"
    target.mkdir(exist_ok=True)
    for content in layers:
        (tmp_path / "blob").write_bytes(content)
        apply_layer(tmp_path / "blob", target, whiteouts=whiteouts, sync=False)  # type: ignore[arg-type]
    return target


@pytest.mark.parametrize("whiteouts", MODES)
@pytest.mark.parametrize(
    "name",
    ["../x", "../../x", "a/../../x", "/../x", "./../canary/file", "..", "a/b/../../../canary/x", "../.wh.canary",
     "../canary/.wh.file", "../canary/.wh..wh..opq", "/..//../canary/file"],
)  # fmt: skip
def test_a_name_that_climbs_is_refused(tmp_path: Path, outside: Path, name: str, whiteouts: str) -> None:
    long = header("L", b"L", size=len(name)) + padded(name.encode())
    for member in (file(name, "evil"), folder(name), symlink(name, "x"), header(name, b"6"), long + file("x"),
                   pax({"path": name}) + file("x")):  # fmt: skip
        with pytest.raises(ArchiveInvalid, match="climbs out"):
            unpack(tmp_path, layer(member), whiteouts=whiteouts)

    assert tree(tmp_path / "fs") == []


def test_an_absolute_name_lands_inside(tmp_path: Path, outside: Path) -> None:
    target = unpack(tmp_path, layer(file("/etc/x", "in"), file(f"{outside}/file", "in"), hardlink("/h", "/etc/x")))

    assert (target / "etc/x").read_text() == "in" and (target / f".{outside}/file").read_text() == "in"
    assert (target / "h").samefile(target / "etc/x")


@pytest.mark.parametrize("split", [False, True], ids=["one layer", "two layers"])
@pytest.mark.parametrize(
    ("links", "through"),
    [
        ([("p", "CANARY")], "p"),
        ([("p", "..")], "p/canary"),
        ([("p", "../../../../..")], "p/CANARY"),
        ([("p", "/")], "p/CANARY"),
        ([("p", "q"), ("q", "r"), ("r", "CANARY")], "p"),
        ([("d/p", "../../canary")], "d/p"),
        ([("a", "."), ("b", "a/.."), ("c", "b/../canary")], "c"),
        ([("p", "/proc/self/root")], "pCANARY"),
        ([("p", "/proc/1/cwd")], "p/CANARY"),
    ],
)  # fmt: skip
def test_what_is_written_through_a_planted_link_lands_inside(
    tmp_path: Path, outside: Path, links: list[tuple[str, str]], through: str, split: bool
) -> None:
    planted = [symlink(name, target.replace("CANARY", str(outside))) for name, target in links]
    through = through.replace("/CANARY", str(outside)).replace("CANARY", str(outside))
    writes = [file(f"{through}/file", "evil"), file(f"{through}/new", "evil", mode=0o4755), whiteout(f"{through}/link"),
              folder(through, 0o777, uid=7), hardlink("stolen", f"{through}/file")]  # fmt: skip
    with suppress(ArchiveInvalid):
        unpack(tmp_path, *([layer(*planted), layer(*writes)] if split else [layer(*planted, *writes)]))

    assert "singing" not in "".join(names(tmp_path / "fs"))


@pytest.mark.parametrize("whiteouts", MODES)
def test_links_through_links_longer_than_a_path_may_be_lead_nowhere_else(
    tmp_path: Path, outside: Path, whiteouts: str
) -> None:
    # Sixteen links to long names in each other: where they lead no path can say, which is how realpath was fooled.
    parts, deep, links = [], "/".join(["d" * 240] * 8), "abcdefghijklmnop"
    for step, name in enumerate(links):
        base = "".join(f"{above}/" for above in links[:step])
        parts += [folder(f"{base}{'d' * 240}"), symlink(f"{base}{name}", "d" * 240)]
    inner = "/".join(links)
    parts += [symlink(f"{inner}/l", "../" * 16), symlink("escape", f"{inner}/l/../../..")]
    parts += [file("escape/canary/file", "evil"), file(f"escape{outside}/file", "evil"), file(f"{deep}/f", "x")]
    with suppress(ArchiveInvalid):
        unpack(tmp_path, layer(*parts), whiteouts=whiteouts)


@pytest.mark.parametrize("whiteouts", MODES)
@pytest.mark.parametrize(
    "links", [[("p", "p")], [("p", "q"), ("q", "p")], [("p", "p/x")], [(f"l{n}", f"l{n + 1}") for n in range(60)]]
)
def test_links_that_go_round_are_refused(tmp_path: Path, links: list[tuple[str, str]], whiteouts: str) -> None:
    with pytest.raises(ArchiveInvalid, match="leads to no folder"):
        unpack(tmp_path, layer(*(symlink(*link) for link in links), file(f"{links[0][0]}/f", "x")), whiteouts=whiteouts)


def test_a_link_to_a_folder_that_is_not_there_makes_it_inside(tmp_path: Path, outside: Path) -> None:
    content = layer(symlink("p", "/no/where"), file("p/f", "x"), symlink("q", "file"), file("file", "x"))
    target = unpack(tmp_path, content)

    assert names(target) == ["file x", "no/", "no/where/", "no/where/f x", "p -> /no/where", "q -> file"]
    assert names(target) == umoci_tree([content], tmp_path)
    with pytest.raises(ArchiveInvalid, match="leads to no folder"):
        unpack(tmp_path, layer(file("q/f", "x")))


@pytest.mark.parametrize("whiteouts", MODES)
@pytest.mark.parametrize(
    ("link", "before"),
    [
        ("../canary/file", b""), ("../../../../../../etc/passwd", b""), ("a/../../canary/file", b""),
        ("CANARY/file", b""), ("none", b""), ("d", folder("d")), ("d/..", folder("d")), ("", b""), ("/", b""),
        ("self", b""), ("p/file", symlink("p", "CANARY")), ("p/canary/file", symlink("p", "..")),
        ("w", whiteout("w")), ("f/x", file("f", "x")), ("self/x", folder("self") + file("self/x", "x")),
    ],
)  # fmt: skip
def test_a_hardlink_to_what_is_no_file_of_the_image_is_refused(
    tmp_path: Path, outside: Path, link: str, before: bytes, whiteouts: str
) -> None:
    link = link.replace("CANARY", str(outside))
    if b"CANARY" in before:
        before = symlink("p", str(outside))
    with pytest.raises(ArchiveInvalid):
        unpack(tmp_path, layer(before, hardlink("self", link)), whiteouts=whiteouts)


def test_a_hardlink_to_a_symlink_is_that_link_and_what_it_points_to_is_left_alone(
    tmp_path: Path, outside: Path
) -> None:
    content = layer(
        file("inner", "x", mode=0o600),
        symlink("in", "inner"),
        symlink("out", str(outside / "file")),
        hardlink("in2", "in", mode=0o6777, uid=5),
        hardlink("out2", "out", mode=0o6777, uid=5),
        file("out2", "replaced"),
    )
    target = unpack(tmp_path, content)

    assert tree(target) == [
        "link 777 5:0 in -> inner",
        "link 777 5:0 in2 -> inner",
        "file 600 0:0 inner x",
        f"link 777 5:0 out -> {outside}/file",
        "file 644 0:0 out2 replaced",
    ]
    assert names(target) == umoci_tree([content], tmp_path)


def test_a_hardlink_to_itself_keeps_the_file(tmp_path: Path) -> None:
    assert tree(unpack(tmp_path, layer(file("a", "x"), hardlink("a", "./a")))) == ["file 644 0:0 a x"]


def test_the_kinds_of_archives_that_went_past_pythons_own_filter_stay_inside(tmp_path: Path, outside: Path) -> None:
    # cpython#135034: realpath that gives up, links that are made anew as files, modes and times set through links.
    long = "/".join(["d" * 247] * 15)
    shapes = [
        layer(folder(long), symlink("s", long), symlink("s2", "s/" + "../" * 20), file("s2/canary/file", "evil")),
        layer(symlink("a/b/l", "../../../canary"), hardlink("h", "a/b/l"), folder("h", 0o777), file("h/file", "evil")),
        layer(symlink("e", f"{'x/' * 1500}../canary"), file("e", "evil", mode=0o777), folder("e", 0o777, mtime=1)),
        layer(symlink("l", str(outside / "file")), header("l", b"0", mode=0o777), hardlink("m", "l", mode=0o777)),
        layer(symlink("l", str(outside)), folder("l/", 0o777, uid=1), file("l/file", "evil")),
        layer(symlink("x", "."), symlink("x/x/y", ".."), file("x/x/y/canary/file", "evil")),
    ]
    for shape in shapes:
        with suppress(ArchiveInvalid):
            unpack(tmp_path, shape)
        remove_tree(tmp_path / "fs")


def test_a_name_or_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    for name in ("n" * 256, "d/" * 501 + "f", "x" * 100_000, "d/" * 300_000, ("n" * 200 + "/") * 25):
        with pytest.raises(ArchiveInvalid):
            unpack(tmp_path, layer(file(name, "x")))
    for there in ("d/" * 450, ("n" * 200 + "/") * 20):  # through a link a path gets longer than its name
        with pytest.raises(ArchiveInvalid):
            unpack(tmp_path, layer(folder(there), symlink("l", there), file("l/" + "eee/" * 100 + "f", "x")))
    remove_tree(tmp_path / "fs")


@pytest.mark.slow
@pytest.mark.parametrize("whiteouts", MODES)
def test_links_that_somebody_swaps_meanwhile_lead_nowhere_else(tmp_path: Path, outside: Path, whiteouts: str) -> None:
    """The folder is changed from outside as fast as it goes, which is more than another container could do."""
    target = tmp_path / "fs"
    target.mkdir()
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for name in ("d", "d/e"):
                path = target / name
                with suppress(OSError):
                    path.rename(target / "aside")
                with suppress(OSError):
                    path.symlink_to(outside)
                with suppress(OSError):
                    path.unlink()
                with suppress(OSError):
                    (target / "aside").rename(path)

    parts = [folder("d"), folder("d/e")]
    for number in range(300):
        parts += [folder("d", 0o777, mtime=number), file(f"d/e/{number}", "evil"), file("d/file", "evil", mode=0o666),
                  file("d/e/file", "evil"), whiteout("d/link"), opaque("d/e"), hardlink("d/e/l", "d/file")]  # fmt: skip
    (tmp_path / "blob").write_bytes(layer(*parts))
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(15):
            with suppress(DockyardError):
                apply_layer(tmp_path / "blob", target, whiteouts=whiteouts, sync=False)  # type: ignore[arg-type]
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("where", ["dev", "p"])
def test_pipes_and_devices_are_never_opened(tmp_path: Path, where: str) -> None:
    special = [header(f"{where}/pipe", b"6"), header(f"{where}/tape", b"3", device=(9, 0))]
    again = [file(f"{where}/pipe", "file"), hardlink(f"{where}/t2", f"{where}/tape"), folder(f"{where}/tape")]
    target = unpack(tmp_path, layer(*special), layer(*special, *again, header(f"{where}/pipe2", b"6")))

    assert names(target) == [f"{where}/", f"{where}/pipe file", f"{where}/pipe2", f"{where}/t2 9:0", f"{where}/tape/"]


@pytest.mark.parametrize("device", [(2**12, 0), (0, 2**20), (2**33, 1), (1, 2**40)])
def test_devices_with_impossible_numbers_are_refused(tmp_path: Path, device: tuple[int, int]) -> None:
    with pytest.raises(ArchiveInvalid, match="impossible number"):
        unpack(tmp_path, layer(header("d", b"4", device=device)))


@pytest.mark.parametrize(
    "content",
    [
        b"hello", b"x" * 5000, file("f", "x")[:512], file("f", b"x" * 3000)[:1000],
        gzip.compress(file("f", "x") + END, mtime=0)[:-9],
        file("f", "x") + b"garbage" * 200, b"BZh91AY", b"\xfd7zXZ\0\0\0", layer(file("", "x")), layer(symlink("l", "")),
        layer(symlink("/", "x")), layer(hardlink(".", "x")), file("f", "x") + bytes(512) + file("g", "x") + END,
    ],
)  # fmt: skip
def test_what_is_no_layer_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ArchiveInvalid):
        unpack(tmp_path, content)


@pytest.mark.parametrize("whiteouts", MODES)
def test_what_is_left_of_a_refused_layer_can_be_removed(tmp_path: Path, outside: Path, whiteouts: str) -> None:
    deep = [folder("d/" * 499), symlink("x", str(outside)), file("f", "x"), header("pipe", b"6")]
    with pytest.raises(ArchiveInvalid):
        unpack(tmp_path, layer(*deep, file("../x", "x")), whiteouts=whiteouts)
    remove_tree(tmp_path / "fs")

    assert not (tmp_path / "fs").exists()
