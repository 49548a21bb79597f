"""``dockyard build``: what its flags do, seen from outside. What Dockerfiles mean is tested beside the builder."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from images import busybox
from servers import DOCKYARD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Hub, Machine

BASE = "busybox:1"
WORDS = "FROM scratch\nARG WHO=nobody\nLABEL who=$WHO\nCOPY hello /\n"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder with a Dockerfile that needs no base and runs nothing."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "hello").write_text("hello\n")
    (folder / "Dockerfile").write_text(WORDS)
    return folder


@pytest.fixture
def based(dockyard: Machine, tmp_path: Path) -> Machine:
    """A machine with a base image that has a shell."""
    dockyard.ok("copy", f"oci:{busybox(tmp_path / 'busybox')}:latest", f"engine:{BASE}")
    return dockyard


def labels(dockyard: Machine, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(dockyard.ok("inspect", "--format", "{{json .Config.Labels}}", name))
    return found


def test_a_build_says_on_stderr_what_it_does_and_nothing_on_stdout(dockyard: Machine, context: Path) -> None:
    done = dockyard("build", "-t", "team/app:1", "--progress", "plain", context)

    assert (done.returncode, done.stdout) == (0, "")
    assert re.match(r"#1 \[internal\] load build definition from Dockerfile\n", done.stderr)
    assert re.search(r"^#\d+ \[1/1\] COPY hello /\n#\d+ DONE \d+\.\ds$", done.stderr, re.MULTILINE)
    assert re.search(r"^#\d+ naming to docker.io/team/app:1 done$", done.stderr, re.MULTILINE)


def test_names_arguments_and_labels_are_the_images(dockyard: Machine, context: Path) -> None:
    labelled = ("--label", "a=b", "--label", "who=me")
    dockyard.ok(
        "build", "-t", "team/app:1", "-t", "other", "--build-arg", "WHO", *labelled, context, env={"WHO": "you"}
    )
    dockyard.ok("build", "-t", "team/app:2", "--build-arg", "WHO=you", "--label", "a=b", context)

    assert labels(dockyard, "team/app:1") == labels(dockyard, "other") == {"a": "b", "who": "me"}
    assert labels(dockyard, "team/app:2") == {"a": "b", "who": "you"}


def test_quiet_prints_the_id_and_files_get_what_scripts_ask_for(
    dockyard: Machine, context: Path, tmp_path: Path
) -> None:
    iid, data = tmp_path / "iid", tmp_path / "metadata"
    done = dockyard("build", "-q", "-t", "team/app", "--iidfile", iid, "--metadata-file", data, context)
    metadata = json.loads(data.read_text())

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{iid.read_text()}\n"
    assert dockyard.ok("images", "-q", "--no-trunc").split() == [done.stdout.strip()]
    assert metadata["containerimage.config.digest"] == done.stdout.strip()
    assert metadata["image.name"] == "docker.io/team/app:latest"


def test_a_build_that_fails_leaves_no_image_id_of_an_earlier_one(
    dockyard: Machine, context: Path, tmp_path: Path
) -> None:
    (tmp_path / "iid").write_text("sha256:old")
    done = dockyard("build", "--iidfile", tmp_path / "iid", "--target", "none", context)

    assert done.returncode == 1
    assert not (tmp_path / "iid").exists()


def test_the_dockerfile_may_be_another_file_or_stdin(dockyard: Machine, context: Path, tmp_path: Path) -> None:
    (context / "other").write_text("FROM scratch\nLABEL from=other\nCOPY hello /\n")
    dockyard.ok("build", "-f", context / "other", "-t", "a", context)
    piped = dockyard("build", "-f", "-", "-t", "b", context, input="FROM scratch\nLABEL from=stdin\nCOPY hello /\n")

    assert piped.returncode == 0, piped.stderr
    assert labels(dockyard, "a") == {"from": "other"}
    assert labels(dockyard, "b") == {"from": "stdin"}


def test_a_target_and_another_context(dockyard: Machine, context: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/file").write_text("from elsewhere")
    (context / "Dockerfile").write_text(
        "FROM scratch AS one\nCOPY --from=more file /\nFROM scratch AS two\nCOPY absent /\n"
    )
    out = tmp_path / "out"
    dockyard.ok("build", "--target", "one", "--build-context", f"more={tmp_path / 'more'}", "-o", out, context)

    assert (out / "file").read_text() == "from elsewhere"


def test_a_result_goes_to_a_folder_an_archive_or_a_pipe(dockyard: Machine, context: Path, tmp_path: Path) -> None:
    archive = tmp_path / "app.tar"
    dockyard.ok("build", "-o", tmp_path / "out", context)
    dockyard.ok("build", "--output", f"type=oci,dest={archive}", "--load", "-t", "team/app", context)
    piped = subprocess.run([DOCKYARD, "build", "-o", "-", context], env=dockyard.env, capture_output=True, check=True)

    assert (tmp_path / "out/hello").read_text() == "hello\n"
    with tarfile.open(archive) as opened:
        names = opened.getnames()

    assert "index.json" in names
    assert b"hello\n" in piped.stdout
    assert dockyard.ok("images", "--format", "{{.Repository}}") == "team/app\n"


def test_platforms_together_are_an_index_of_an_image_for_each(dockyard: Machine, context: Path, hub: Hub) -> None:
    name = f"{hub.host}/build/platforms:1"
    dockyard.ok("build", "--platform", "linux/amd64,linux/arm64", "--push", "-t", name, context)
    index = json.loads(dockyard.ok("manifest", "inspect", name))

    assert [child["platform"]["architecture"] for child in index["manifests"]] == ["amd64", "arm64"]


def test_a_cache_in_a_folder_or_a_registry_serves_another_machine(
    dockyard: Machine, context: Path, hub: Hub, tmp_path: Path, machine: Callable[[str], Machine]
) -> None:
    folder, name = tmp_path / "cache", f"{hub.host}/build/cache:1"
    dockyard.ok("build", "--cache-to", f"type=local,dest={folder},mode=max", "--cache-to", name, context)
    places = {"folder": f"type=local,src={folder}", "registry": name}
    told = {kind: machine(kind)("build", "--progress=plain", "--cache-from", places[kind], context) for kind in places}

    for done in told.values():
        assert done.returncode == 0, done.stderr
        assert re.search(r"\[1/1\] COPY hello /\n#\d+ CACHED$", done.stderr, re.MULTILINE)


def test_what_is_cached_is_not_made_again_unless_that_is_asked_for(dockyard: Machine, context: Path) -> None:
    first, second = (dockyard("build", "--progress=plain", context).stderr for _ in range(2))
    third = dockyard("build", "--progress=plain", "--no-cache", context).stderr

    assert ["CACHED" in told for told in (first, second, third)] == [False, True, False]


def test_the_build_cache_is_listed_and_pruned(dockyard: Machine, context: Path) -> None:
    dockyard.ok("build", "-o", context.parent / "out", context)
    listed = dockyard.ok("builder", "du")
    assert "COPY hello /" in listed
    assert "Total:" in listed
    assert dockyard.ok("builder", "du", "--format", "{{.Reclaimable}} {{.CacheType}}").startswith("true ")
    kept = dockyard.ok("builder", "prune", "-f", "--keep-storage", "1g")
    young = dockyard.ok("builder", "prune", "-a", "-f", "--filter", "until=24h")
    pruned = dockyard.ok("builder", "prune", "-a", "-f")

    assert kept == young == "Total reclaimed space: 0B\n"
    assert pruned.startswith("Deleted build cache objects:\n")
    assert "COPY" not in dockyard.ok("builder", "du")


def test_nothing_is_pruned_without_a_yes(dockyard: Machine, context: Path) -> None:
    dockyard.ok("build", "-q", context)
    done = dockyard("builder", "prune", "--all", input="n\n")

    assert done.stdout.startswith("WARNING! This will remove all build cache.\n")
    assert "COPY hello /" in dockyard.ok("builder", "du")


def test_a_run_sees_what_the_flags_give_it(based: Machine, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("swordfish")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {BASE}\n"
        "RUN --mount=type=secret,id=token --mount=type=ssh "
        '[ $(busybox wc -c < /run/secrets/token) = 9 ] && [ -S "$SSH_AUTH_SOCK" ]'
        " && cat /etc/hosts && busybox df -k /dev/shm && ! busybox ip route | busybox grep default\n"
    )
    agent = tmp_path / "agent"
    secret = f"id=token,src={tmp_path / 'token'}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(agent))
        listening.listen()
        done = based(
            "build", "--progress=plain", "--secret", secret, "--ssh", f"default={agent}",
            "--add-host", "hub.test=10.1.2.3", "--shm-size", "16m", "--network", "none", tmp_path,
        )  # fmt: skip
    files = [path.read_bytes() for path in based.root.rglob("*") if path.is_file()]

    assert done.returncode == 0, done.stderr
    assert re.search(r"^#\d+ \d\.\d+ 10\.1\.2\.3\s+hub\.test", done.stderr, re.MULTILINE)
    assert re.search(r"^#\d+ \d\.\d+ shm\s+16384 ", done.stderr, re.MULTILINE)
    assert not any(b"swordfish" in content for content in files)


def test_a_command_that_fails_ends_the_build_with_its_place_and_its_output(based: Machine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo before; false\nRUN echo after\n")
    done = based("build", "--progress=plain", tmp_path)
    ending = done.stderr[done.stderr.index("------\n") :]

    assert done.returncode == 1
    assert re.sub(r"\d\.\d{3} ", "0.100 ", ending) == (
        "------\n > [2/3] RUN echo before; false:\n0.100 before\n------\n"
        "Dockerfile:2\n--------------------\n"
        f"   1 |     FROM {BASE}\n   2 | >>> RUN echo before; false\n   3 |     RUN echo after\n--------------------\n"
        'ERROR: failed to build: failed to solve: process "/bin/sh -c echo before; false" '
        "did not complete successfully: exit code: 1\n"
    )


def test_a_base_is_asked_for_again_with_pull(dockyard: Machine, tmp_path: Path, hub: Hub) -> None:
    name = f"{hub.host}/build/base:1"
    dockyard.ok("copy", f"oci:{busybox(tmp_path / 'busybox')}:latest", f"docker://{name}")
    (tmp_path / "Dockerfile").write_text(f"FROM {name}\nLABEL a=b\n")
    dockyard.ok("build", "--pull", "-t", "app", tmp_path)

    assert labels(dockyard, "app") == {"a": "b"}


def test_layers_are_zstd_where_that_is_asked_for(dockyard: Machine, context: Path, tmp_path: Path) -> None:
    dockyard.ok("build", "--compression", "zstd", "-o", f"type=oci,dest={tmp_path / 'app.tar'}", context)
    with tarfile.open(tmp_path / "app.tar") as archive:
        contents = [archive.extractfile(member).read() for member in archive if member.isfile()]  # type: ignore[union-attr]

    assert any(content.startswith((b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")) for content in contents)
    assert not any(content.startswith(b"\x1f\x8b") for content in contents)


def test_a_mistyped_instruction_is_shown_with_what_was_meant(dockyard: Machine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPI hello /\n")
    done = dockyard("build", context)

    assert done.returncode == 1
    assert "   2 | >>> COPI hello /\n" in done.stderr
    assert "ERROR: failed to build: failed to solve: Dockerfile:2:1: unknown instruction: COPI" in done.stderr
    assert "COPY" in done.stderr


def test_a_check_builds_nothing_and_fails_where_the_file_says_so(dockyard: Machine, context: Path) -> None:
    clean = dockyard("build", "--check", context)
    (context / "Dockerfile").write_text("FROM scratch AS Base\nCOPY hello /\n")
    warned = dockyard("build", "--check", context)
    (context / "Dockerfile").write_text("# check=error=true\nFROM scratch AS Base\nCOPY hello /\n")
    refused = dockyard("build", "--check", context)

    assert (clean.returncode, clean.stdout) == (0, "Check complete, no warnings found.\n")
    assert warned.returncode == 0
    assert "StageNameCasing" in warned.stdout
    assert "   1 | >>> FROM scratch AS Base\n" in warned.stdout
    assert refused.returncode == 1
    assert dockyard.ok("images", "-q") == ""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-q", "--progress=plain"), "progress=plain and quiet cannot be used together"),
        (("--progress=tty",), "--progress=tty needs a terminal"),
        (("--push",), "tag is needed when pushing to registry"),
        (("-t", "UPPER"), 'invalid tag "UPPER": invalid reference format'),
        (("-q", "-o", "-"), "-q prints the image ID where --output writes the result"),
        (("--secret", "id=x,src=/no/such"), "secret x: /no/such: no such file or directory"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_built(
    flags: tuple[str, ...], message: str, dockyard: Machine, context: Path
) -> None:
    done = dockyard("build", *flags, context)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr


@pytest.mark.parametrize("flags", [("--progress", "fancy"), ("--network", "bridge"), ("--compression", "xz")])
def test_a_word_that_a_flag_does_not_know_is_a_usage_error(
    flags: tuple[str, str], dockyard: Machine, context: Path
) -> None:
    done = dockyard("build", *flags, context)

    assert done.returncode == 125
    assert f'invalid argument for "{flags[0]}" flag' in done.stderr
