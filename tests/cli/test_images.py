"""The local image commands, on images that other tools could have made."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from images import GZIP, Layout, busybox, docker_archive, gzipped, sha256, tar
from servers import DOCKYARD, Dockerd, Machine

EMPTY = "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A store with three images: team/app with the tags 1 and 2, other, one without a name; and their IDs."""
    machine = Machine(tmp_path_factory.mktemp("images"))
    layout = Layout(machine.folder / "made")
    found = {}
    for word in ("one", "two", "gone"):
        raw = tar([(word, word.encode() * 2000)])
        layer = layout.blob(gzipped(raw), GZIP)
        layout.name(layout.image([layer], [sha256(raw)], config={"Labels": {"word": word}}), word)
        found[word] = layout.image_id(word)
    for word, name in {"one": "team/app:1", "two": "other", "gone": "lost"}.items():
        machine.ok("copy", f"oci:{layout.folder}:{word}", f"engine:{name}")
    machine.ok("tag", "team/app:1", "team/app:2")
    machine.ok("copy", f"oci:{layout.folder}:two", "engine:lost")
    machine.ok("rmi", "lost")
    return machine.root, found


@pytest.fixture
def ids(made: tuple[Path, dict[str, str]], dockyard: Machine) -> dict[str, str]:
    """The same store on the test's own machine."""
    shutil.copytree(made[0], dockyard.root)
    return made[1]


def names(dockyard: Machine, *words: str) -> list[str]:
    return sorted(dockyard.ok("images", "--format", "{{.Repository}}:{{.Tag}}", *words).split())


def test_an_empty_store_has_headers_only(dockyard: Machine) -> None:
    assert dockyard.ok("images") == EMPTY
    assert dockyard.ok("images", "-q") == dockyard.ok("images", "--format", "json") == ""
    assert not dockyard.root.exists()


def test_both_spellings_list_the_same(ids: dict[str, str], dockyard: Machine) -> None:
    assert (
        dockyard.ok("image", "ls")
        == dockyard.ok("images")
        == dockyard.ok("image", "list")
        == dockyard.ok("images", "-a")
    )


def test_the_list_can_be_filtered_by_a_name_or_a_pattern(ids: dict[str, str], dockyard: Machine) -> None:
    assert names(dockyard, "team/app") == ["team/app:1", "team/app:2"]
    assert names(dockyard, "team/app:2") == ["team/app:2"]
    assert names(dockyard, "team/*") == names(dockyard, "--filter", "reference=team/*") == ["team/app:1", "team/app:2"]
    assert names(dockyard, "*:[2l]*") == ["other:latest"]
    assert names(dockyard, "nothing") == []


def test_the_list_can_be_filtered_by_label_age_and_neighbour(ids: dict[str, str], dockyard: Machine) -> None:
    assert names(dockyard, "-f", "label=word=two") == ["other:latest"]
    assert names(dockyard, "--filter", "label=nothing") == []
    assert names(dockyard, "--filter", "dangling=true") == ["<none>:<none>"]
    assert "<none>:<none>" not in names(dockyard, "--filter", "dangling=false")
    for words in (["--filter", "nonsense=1"], ["--filter", "dangling=maybe"], ["--filter", "before=none"]):
        done = dockyard("images", *words)
        assert (done.returncode, done.stdout) == (1, "")


def test_ids_are_short_or_whole(ids: dict[str, str], dockyard: Machine) -> None:
    whole = dockyard.ok("images", "-q", "--no-trunc", "team/app:1")

    assert whole == f"{ids['one']}\n"
    assert dockyard.ok("images", "-q", "team/app:1") == f"{ids['one'][7:19]}\n"
    assert f" {ids['one']} " in dockyard.ok("images", "--no-trunc")
    assert "DIGEST" in dockyard.ok("images", "--digests").splitlines()[0]


def test_a_line_as_json_has_dockers_fields(ids: dict[str, str], dockyard: Machine) -> None:
    row = json.loads(dockyard.ok("images", "--format", "json", "team/app:1"))
    dockers = {"Containers", "CreatedAt", "CreatedSince", "Digest", "ID", "Repository", "SharedSize", "Size", "Tag",
               "UniqueSize", "VirtualSize"}  # fmt: skip

    assert dockers <= set(row)
    assert (row["Repository"], row["Tag"], row["Platform"]) == ("team/app", "1", "linux/amd64")
    assert re.fullmatch(r"\d+(\.\d+)?[kM]?B", row["Size"])


def test_a_tag_is_an_alias_of_one_image(ids: dict[str, str], dockyard: Machine) -> None:
    before = sorted(path.name for path in (dockyard.root / "contexts/default/blobs").rglob("*"))
    tagged = dockyard("tag", ids["one"][7:15], "hub.example.com/team/app:v1")

    assert (tagged.returncode, tagged.stdout, tagged.stderr) == (0, "", "")
    assert dockyard.ok("images", "-q", "hub.example.com/team/app").strip() == ids["one"][7:19]
    assert sorted(path.name for path in (dockyard.root / "contexts/default/blobs").rglob("*")) == before


def test_removing_a_name_leaves_the_image_until_the_last_one_goes(ids: dict[str, str], dockyard: Machine) -> None:
    first, last = dockyard.ok("rmi", "team/app:1"), dockyard.ok("image", "rm", "team/app:2")

    assert first == "Untagged: team/app:1\n"
    assert last.splitlines()[:2] == ["Untagged: team/app:2", f"Deleted: {ids['one']}"]
    assert names(dockyard, "team/app") == []


def test_an_image_with_several_names_is_removed_by_its_id_only_with_force(
    ids: dict[str, str], dockyard: Machine
) -> None:
    dockyard.ok("tag", "team/app:1", "elsewhere:1")
    refused = dockyard("rmi", ids["one"])
    forced = dockyard.ok("rmi", "-f", ids["one"])

    assert refused.returncode == 1
    assert "must be forced" in refused.stderr
    assert {"Untagged: team/app:1", "Untagged: team/app:2", "Untagged: elsewhere:1"} <= set(forced.splitlines())


def test_of_several_images_those_that_are_there_are_removed(ids: dict[str, str], dockyard: Machine) -> None:
    done = dockyard("rmi", "team/app:1", "nope", "other")

    assert done.returncode == 1
    assert done.stderr == "Error: No such image: nope:latest\n"
    assert "Untagged: other:latest" in done.stdout
    assert dockyard("rmi", "-f", "nope").returncode == 0


@pytest.mark.parametrize(("answer", "goes"), [("y\n", True), ("n\n", False), ("", False), ("yes\n", True)])
def test_a_prune_asks_first(answer: str, goes: bool, ids: dict[str, str], dockyard: Machine) -> None:
    done = dockyard("image", "prune", input=answer)

    assert done.returncode == 0
    assert done.stdout.startswith(
        "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] "
    )
    assert ("Total reclaimed space: " in done.stdout) == goes
    assert (names(dockyard, "--filter", "dangling=true") == []) == goes


def test_a_forced_prune_says_what_it_deleted_and_how_much(ids: dict[str, str], dockyard: Machine) -> None:
    text = dockyard.ok("image", "prune", "--force")

    assert text.startswith("Deleted Images:\n")
    assert "deleted: sha256:" in text
    assert re.search(r"\n\nTotal reclaimed space: \d+(\.\d+)?[kM]?B\n$", text)
    assert dockyard.ok("image", "prune", "-f") == "Total reclaimed space: 0B\n"
    assert "untagged: team/app:1" in dockyard.ok("image", "prune", "-af")
    assert dockyard.ok("images") == EMPTY


def test_a_prune_can_be_filtered(ids: dict[str, str], dockyard: Machine) -> None:
    dockyard.ok("image", "prune", "-af", "--filter", "label=word=two")
    assert names(dockyard, "team/app") == ["team/app:1", "team/app:2"]
    subprocess.run([DOCKYARD, "import", "-", "young"], env=dockyard.env, input=tar([("a", b"b")]), check=True)
    dockyard.ok("image", "prune", "-af", "--filter", "until=24h", "--filter", "label!=word")
    assert names(dockyard, "young") == ["young:latest"]
    dockyard.ok("image", "prune", "-af", "--filter", "label!=word=two")

    assert names(dockyard, "team/app") == []
    assert dockyard("image", "prune", "-f", "--filter", "nonsense=1").returncode == 1


def test_inspect_shows_what_it_finds_and_fails_for_the_rest(ids: dict[str, str], dockyard: Machine) -> None:
    done = dockyard("inspect", "team/app:1", "nope", "other")
    found = json.loads(done.stdout)

    assert done.returncode == 1
    assert done.stderr == "Error: No such image: nope:latest\n"
    assert [image["Id"] for image in found] == [ids["one"], ids["two"]]
    assert found[0]["RepoTags"] == ["team/app:1", "team/app:2"]
    assert dockyard.ok("image", "inspect", "-f", "{{.Config.Labels.word}} {{.Os}}/{{.Architecture}}", "team/app:1") == (
        "one linux/amd64\n"
    )
    assert dockyard("inspect", "nope").stdout == "[]\n"
    assert json.loads(dockyard.ok("inspect", "--format", "json", "other"))[0]["Id"] == ids["two"]


def test_a_label_can_not_drive_the_terminal(dockyard: Machine, tmp_path: Path) -> None:
    (tmp_path / "fs.tar").write_bytes(tar([("x", b"x")]))
    label = "caf\u00e9 \u009b31m \u202e txt \x7f"
    dockyard.ok("import", "--change", f"LABEL note='{label}'", tmp_path / "fs.tar", "labelled")
    shown = [dockyard.ok("inspect", *form, "labelled") for form in ([], ["-f", "json"], ["-f", "[{{json .}}]"])]

    for text in shown:
        assert not set("\u009b\u202e\x7f") & set(text)
        assert json.loads(text)[0]["Config"]["Labels"]["note"] == label


def test_a_broken_format_is_refused(ids: dict[str, str], dockyard: Machine) -> None:
    for words in (["images", "--format", "{{.Nope}}"], ["inspect", "-f", "{{.Nope}}", "other"]):
        done = dockyard(*words)
        assert done.returncode == 1
        assert "template parsing error" in done.stderr


def test_ours_and_dockers_tell_the_same_of_one_image(dockyard: Machine, dockerd: Dockerd, tmp_path: Path) -> None:
    archive = docker_archive(busybox(tmp_path / "made"), tmp_path / "image.tar", "told/app:1")
    dockyard.ok("load", "-i", archive)
    dockerd.ok("load", "-i", archive)
    for form in ("{{.Repository}} {{.Tag}} {{.ID}}", "table {{.Repository}}\t{{.Tag}}\t{{.ID}}"):
        assert dockyard.ok("images", "--format", form, "told/app") == dockerd.ok("images", "--format", form, "told/app")
    ours = json.loads(dockyard.ok("image", "inspect", "told/app:1"))[0]
    theirs = json.loads(dockerd.ok("image", "inspect", "told/app:1"))[0]

    for key in ("Id", "RepoTags", "Os", "Architecture", "RootFS", "Created"):
        assert ours[key] == theirs[key]
    for key in ("Cmd", "Entrypoint", "Env", "Labels", "WorkingDir", "User", "ExposedPorts", "Volumes"):
        assert (ours["Config"].get(key) or None) == (theirs["Config"].get(key) or None)
    fields = (
        "{{.Config.Env}} {{.Config.Labels}} {{.Config.User}} {{.Config.Volumes}} {{.Config.Entrypoint}} {{.Variant}}"
    )
    for form in (fields, '{{range .Config.OnBuild}}x{{end}} {{index .Config.Labels "a"}} {{len .Config.ExposedPorts}}'):
        assert dockyard.ok("inspect", "-f", form, "told/app:1") == dockerd.ok("inspect", "-f", form, "told/app:1")
    steps = ["history", "--no-trunc", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Comment}}", "told/app:1"]
    assert dockyard.ok(*steps) == dockerd.ok(*steps)


def test_history_is_human_or_exact(dockyard: Machine, tmp_path: Path) -> None:
    archive = tmp_path / "files.tar"
    archive.write_bytes(tar([("hello", b"x" * 5000)]))
    made = dockyard.ok("import", "-m", "said\there", archive, "made").strip()
    human, exact = dockyard.ok("history", "made"), dockyard.ok("history", "--human=false", "made")

    assert human.splitlines()[0].split("  ")[0] == "IMAGE"
    assert human.splitlines()[1].startswith(made[7:19])
    assert "CREATED AT" in exact.splitlines()[0]
    assert re.search(r" \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d) ", exact)
    assert dockyard.ok("history", "-q", "--no-trunc", "made") == f"{made}\n"
    assert dockyard.ok("history", "--format", "{{.ID}}", "made") == f"{made[7:19]}\n"
    assert "dockyard failed" not in dockyard("history", "nope").stderr


def test_disk_usage_counts_what_there_is(ids: dict[str, str], dockyard: Machine) -> None:
    rows = [json.loads(line) for line in dockyard.ok("system", "df", "--format", "json").splitlines()]
    verbose = dockyard.ok("system", "df", "-v")

    assert rows[0]["Type"] == "Images"
    assert set(rows[0]) == {"Active", "Reclaimable", "Size", "TotalCount", "Type"}
    assert int(rows[0]["TotalCount"]) == 3
    assert verbose.startswith("Images space usage:\n\nREPOSITORY")
    assert "team/app" in verbose


def test_info_counts_images_and_names_the_store(ids: dict[str, str], dockyard: Machine) -> None:
    text = dockyard.ok("info")

    assert " Images: 3\n" in text
    assert f" Dockyard Root Dir: {dockyard.root}\n" in text
    assert dockyard.ok("system", "info", "-f", "{{.Images}} {{.OSType}} {{.ClientInfo.Context}}") == "3 linux default\n"
    assert json.loads(dockyard.ok("info", "--format", "json"))["DefaultRegistry"] == "docker.io"


def test_the_version_has_dockers_layout_and_fields(dockyard: Machine) -> None:
    text = dockyard.ok("version")
    version = dockyard.ok("version", "--format", "{{.Client.Version}}").strip()

    assert text.startswith(f"Client:\n Version:          {version}\n")
    assert "\nServer:\n Engine:\n" in text
    assert set(json.loads(dockyard.ok("version", "-f", "json"))) == {"Client", "Server"}
    assert dockyard.ok("version", "-f", "{{.Server.Os}}") == "linux\n"


def test_names_are_short_for_the_registry_that_the_user_has_chosen(ids: dict[str, str], dockyard: Machine) -> None:
    dockyard.ok("tag", "other", "localhost:5000/tweet-app")
    env = {"DOCKYARD_DEFAULT_REGISTRY": "localhost:5000"}

    assert "tweet-app:latest" in dockyard.ok("images", "--format", "{{.Repository}}:{{.Tag}}", env=env).split()
    assert dockyard.ok("images", "-q", "tweet-app", env=env).strip() == ids["two"][7:19]
    assert "docker.io/team/app:1" in dockyard.ok("images", "--format", "{{.Repository}}:{{.Tag}}", env=env)
    assert dockyard.ok("images", "-q", "team/app:1", env=env).strip() == ids["one"][7:19]


def test_a_store_elsewhere_is_named_by_flag_and_environment(
    ids: dict[str, str], dockyard: Machine, tmp_path: Path
) -> None:
    assert dockyard.ok("--root", tmp_path / "elsewhere", "images") == EMPTY
    assert dockyard.ok("images", env={"DOCKYARD_ROOT": str(tmp_path / "elsewhere")}) == EMPTY
    assert names(dockyard, "other") == ["other:latest"]
