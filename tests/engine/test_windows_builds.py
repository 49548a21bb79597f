"""Builds from Windows bases on Linux: all but RUN, in Windows' own layout of layers."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images as make
import pytest
from engine.builds import Builds, add_image, content

from dockyard.config import ClientSettings
from dockyard.engine.build_events import Output, Progress
from dockyard.engine.engine import Engine
from dockyard.errors import BuildFailed, Invalid
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from dockyard.engine.build_events import Built

pytestmark = pytest.mark.slow

WINDOWS = Platform("windows", "amd64")
VERSION = "10.0.17763.1397"


@pytest.fixture
async def base(builds: Builds, tmp_path: Path) -> str:
    """A Windows image in the store, whose lowest layer is only at its publisher's."""
    await add_image(builds.engine, make.windows(tmp_path / "windows"), "winbase")
    return "winbase"


def manifest(builds: Builds, built: Built) -> dict[str, Any]:
    return dict(json.loads(builds.layout.read(str(built.digest))))


def names(builds: Builds, built: Built, layer: int) -> list[str]:
    """Every member of a layer, in order."""
    found = manifest(builds, built)["layers"][layer]
    with tarfile.open(builds.layout.path(found["digest"])) as archive:
        return archive.getnames()


@pytest.mark.usefixtures("base")
@pytest.mark.parametrize("platforms", [[], [WINDOWS]])
async def test_everything_but_run_works_for_a_windows_image(builds: Builds, platforms: list[Platform]) -> None:
    (builds.folder / "tool.exe").write_bytes(b"MZ tool")
    built = await builds(
        "# escape=`\nFROM winbase\nLABEL kind=tool\nENV TOOLS=C:\\tools\nWORKDIR C:\\work\nWORKDIR sub\n"
        "COPY tool.exe C:\\tools\\\nCOPY tool.exe here.exe\nUSER ContainerUser\nWORKDIR C:/mine\nEXPOSE 80\n"
        'VOLUME C:\\data\nCMD ["-v"]\nENTRYPOINT ["C:\\\\tools\\\\tool.exe"]\n',
        platforms=platforms,
        tags=["made"],
    )
    config = builds.config(built)
    before = json.loads(make.Layout(builds.folder.parent / "windows").manifest())["layers"]
    after = manifest(builds, built)["layers"]

    assert (config["os"], config["architecture"], config["os.version"]) == ("windows", "amd64", VERSION)
    assert config["config"] | {"Labels": None} == {
        "Env": ["TOOLS=C:\\tools"],
        "Entrypoint": ["C:\\tools\\tool.exe"],
        "WorkingDir": "\\mine",
        "User": "ContainerUser",
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"C:\\data": {}},
        "Labels": None,
        "Cmd": ["-v"],
    }
    assert [layer["digest"] for layer in after[:2]] == [layer["digest"] for layer in before]
    assert (after[0]["mediaType"], after[0]["urls"]) == (before[0]["mediaType"], before[0]["urls"])
    assert names(builds, built, -3) == ["Hives", "Files", "Files/tools", "Files/tools/tool.exe"]
    assert names(builds, built, -2) == ["Hives", "Files", "Files/work/sub/here.exe"]
    assert names(builds, built, -1) == ["Hives", "Files", "Files/mine"]
    assert len(config["rootfs"]["diff_ids"]) == len(after)


@pytest.mark.usefixtures("base")
async def test_members_have_the_records_that_windows_wants(builds: Builds) -> None:
    (builds.folder / "tool.exe").write_bytes(b"MZ tool")
    built = await builds("FROM winbase\nCOPY tool.exe /tools/\n", epoch=1_600_000_000)
    members = builds.files(built)

    assert members["Files/tools/tool.exe"].pax_headers["MSWINDOWS.fileattr"] == "32"
    assert members["Files/tools"].pax_headers["MSWINDOWS.fileattr"] == "16"
    assert {member.pax_headers["LIBARCHIVE.creationtime"] for member in members.values()} == {"1600000000.0"}
    assert all("MSWINDOWS.rawsd" in members[name].pax_headers for name in ("Files/tools", "Files/tools/tool.exe"))
    assert all("MSWINDOWS.rawsd" not in members[name].pax_headers for name in ("Hives", "Files"))


async def test_features_of_the_system_are_kept(builds: Builds, tmp_path: Path) -> None:
    layout = make.Layout(tmp_path / "featured")
    tar = make.tar([("Files/a", b"a")])
    platform: dict[str, Any] = {"os": "windows", "architecture": "amd64", "os.version": VERSION}
    platform["os.features"] = ["win32k"]
    layer = layout.blob(make.gzipped(tar), make.GZIP)
    layout.name(layout.image([layer], [make.sha256(tar)], platform=platform))
    await add_image(builds.engine, layout.folder, "featured")
    one = await builds("FROM featured\nENV a=b\n")
    two = await builds("FROM featured\nENV a=b\n", platforms=[WINDOWS, Platform("windows", "amd64", "", VERSION)])
    (child, *_) = json.loads(builds.layout.read(str(two.digest)))["manifests"]

    assert (builds.config(one)["os.version"], builds.config(one)["os.features"]) == (VERSION, ["win32k"])
    assert child["platform"] == platform


@pytest.mark.usefixtures("base")
async def test_a_copy_sees_the_folders_of_the_layers_below(builds: Builds) -> None:
    for name in ("a", "b", "c"):
        (builds.folder / name).write_text(name)
    built = await builds("# escape=`\nFROM winbase\nCOPY a /app\nCOPY b C:/one/\nCOPY c \\one\n")

    # The base has a folder C:\app, and the step before makes one called C:\one.
    assert names(builds, built, -3) == ["Hives", "Files", "Files/app/a"]
    assert names(builds, built, -2) == ["Hives", "Files", "Files/one", "Files/one/b"]
    assert names(builds, built, -1) == ["Hives", "Files", "Files/one/c"]


@pytest.mark.slow
@pytest.mark.usefixtures("base", "busybox")
async def test_a_linux_stage_makes_what_a_windows_image_gets(builds: Builds) -> None:
    for platforms in ([], [WINDOWS]):
        built = await builds(
            "FROM --platform=$BUILDPLATFORM busybox AS build\n"
            "RUN mkdir /out && echo made > /out/made.exe && "
            "ln /out/made.exe /out/same.exe && ln -s made.exe /out/link\n"
            "FROM winbase\nCOPY --from=build /out C:/out/\n",
            platforms=platforms,
        )
        members = builds.files(built)

        assert builds.config(built)["os"] == "windows"
        assert [*members] == [
            "Hives", "Files", "Files/out", "Files/out/link", "Files/out/made.exe", "Files/out/same.exe",
        ]  # fmt: skip
        assert members["Files/out/same.exe"].linkname == "Files/out/made.exe"
        assert members["Files/out/link"].linkname == "Files/made.exe"  # as BuildKit writes it
        assert content(builds.layout, manifest(builds, built)["layers"][-1], "Files/out/made.exe") == b"made\n"


@pytest.mark.usefixtures("base")
async def test_files_of_a_windows_stage_go_into_a_linux_image(builds: Builds) -> None:
    (builds.folder / "notes").mkdir()
    (builds.folder / "notes/one").write_text("one")
    (builds.folder / "notes/link").symlink_to("one")
    built = await builds(
        "FROM winbase AS win\nCOPY notes C:/notes/\nFROM scratch\n"
        "COPY --from=win /notes/ /all/\nCOPY --from=win /app/app.exe /\n"
    )

    assert builds.config(built)["os"] == "linux"
    assert {name: member.linkname for name, member in builds.files(built, 0).items()} == {
        "all": "", "all/link": "one", "all/one": "",
    }  # fmt: skip
    assert content(builds.layout, manifest(builds, built)["layers"][1], "app.exe") == b"MZ app"
    with pytest.raises(BuildFailed, match=r'"/Hives": not found'):
        await builds("FROM winbase AS win\nFROM scratch\nCOPY --from=win /Hives /\n")


@pytest.mark.usefixtures("base")
async def test_what_is_in_an_absent_layer_can_not_be_copied(builds: Builds) -> None:
    with pytest.raises(BuildFailed, match=r"ntdll.dll.: not found") as caught:
        await builds("FROM winbase AS win\nFROM scratch\nCOPY --from=win /Windows/System32/ntdll.dll /\n")

    assert "mcr.example.invalid" in str(caught.value.hint)


async def test_links_where_the_files_of_a_layer_should_be_lead_nowhere(builds: Builds, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of this machine")
    layout = make.Layout(tmp_path / "bad")
    plain = tmp_path / "bad.tar"
    with tarfile.open(plain, "w") as archive:
        member = tarfile.TarInfo("Files")
        member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(member)
    tar = plain.read_bytes()
    layer = layout.blob(make.gzipped(tar), make.GZIP)
    layout.name(layout.image([layer], [make.sha256(tar)], platform={"os": "windows", "architecture": "amd64"}))
    await add_image(builds.engine, layout.folder, "bad")
    with pytest.raises(BuildFailed, match="not found"):
        await builds("FROM bad AS win\nFROM scratch\nCOPY --from=win /secret /\n")
    await builds("FROM bad\n", outputs=[Output("local", str(tmp_path / "out"))])

    assert [*(tmp_path / "out").iterdir()] == []


@pytest.mark.usefixtures("base")
@pytest.mark.parametrize("platforms", [[], [WINDOWS]])
async def test_run_says_why_it_can_not_be(builds: Builds, platforms: list[Platform]) -> None:
    with pytest.raises(BuildFailed, match="programs of windows/amd64 don't run on Linux") as caught:
        await builds("FROM winbase\nRUN dir\n", platforms=platforms)

    assert (caught.value.line, caught.value.lines[1]) == (2, "RUN dir")
    assert "COPY, ADD, ENV" in str(caught.value.hint)


async def test_a_context_for_windows_builds_windows_images(tmp_path: Path) -> None:
    from dockyard.engine.contexts import Contexts

    root = tmp_path / "machine"
    Contexts(root).create("win", platform=WINDOWS)
    engine = Engine.open(ClientSettings(root=str(root), context="win"), clock=lambda: 1_800_000_000.0)
    builds = Builds(engine, tmp_path / "context")
    await add_image(engine, make.windows(tmp_path / "windows"), "winbase")
    (builds.folder / "a").write_text("a")
    built = await builds("FROM winbase\nCOPY a /app/\n", tags=["made"])

    assert (builds.config(built)["os"], builds.config(built)["os.version"]) == ("windows", VERSION)
    assert names(builds, built, -1) == ["Hives", "Files", "Files/app/a"]
    empty = await builds("FROM scratch\nCOPY a /\n")
    assert builds.config(empty)["os"] == "windows"
    assert names(builds, empty, 0) == ["Hives", "Files", "Files/a"]


@pytest.mark.usefixtures("base")
async def test_a_windows_image_in_the_store_is_no_linux_image(builds: Builds) -> None:
    await builds("FROM winbase\nENV a=b\n")
    warnings = [event.detail for event in builds.events if event.progress is Progress.WARNING]

    assert warnings == ["image winbase is for windows/amd64, this build is for linux/amd64"]
    from engine.test_platform_builds import unreachable

    builds.connect = unreachable
    with pytest.raises(BuildFailed, match="in the store is for windows/amd64, not for linux/amd64"):
        await builds(platforms=[Platform("linux", "amd64")])


@pytest.mark.usefixtures("base")
async def test_paths_that_windows_refuses_are_errors_of_their_line(builds: Builds) -> None:
    (builds.folder / "a").write_text("a")
    with pytest.raises(Invalid, match=r"not on the system drive") as caught:
        await builds("FROM winbase\nCOPY a D:/x/\n")

    assert "Dockerfile:2" in str(caught.value)


async def test_windows_files_are_written_to_a_folder_and_a_tar(builds: Builds, tmp_path: Path) -> None:
    (builds.folder / "a").write_text("a")
    (builds.folder / "link").symlink_to("a")
    outputs = [Output("local", str(tmp_path / "out")), Output("tar", str(tmp_path / "out.tar"))]
    await builds("FROM scratch\nCOPY . C:/x/\n", platforms=[WINDOWS], outputs=outputs)

    assert (tmp_path / "out/x/link").readlink() == Path("a")
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.getmember("x/link").linkname == "a"
        assert "Hives" not in archive.getnames()


@pytest.mark.usefixtures("base")
async def test_an_image_that_is_not_whole_is_not_written_as_files(builds: Builds, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="of the base is not in the store") as caught:
        await builds("FROM winbase\n", outputs=[Output("local", str(tmp_path / "out"))])

    assert "https://mcr.example.invalid/base" in str(caught.value.hint)
    assert not (tmp_path / "out").exists()


async def test_the_same_layer_is_another_for_linux_and_for_windows(builds: Builds, tmp_path: Path) -> None:
    tar = make.tar([("Files/same", b"windows"), ("same", b"linux")])
    for system in ("windows", "linux"):
        layout = make.Layout(tmp_path / system)
        layer = layout.blob(make.gzipped(tar), make.GZIP)
        platform = {"os": system, "architecture": "amd64"}
        layout.name(layout.image([layer], [make.sha256(tar)], platform=platform))
        await add_image(builds.engine, layout.folder, f"{system}-base")
    found = {}
    for system in ("windows", "linux"):
        built = await builds(f"FROM {system}-base AS from\nFROM scratch\nCOPY --from=from /same /\n")
        found[system] = content(builds.layout, manifest(builds, built)["layers"][0], "same")

    assert found == {"windows": b"windows", "linux": b"linux"}
