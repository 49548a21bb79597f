from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import subprocess
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from images import Layout, busybox, docker_save, multi_platform, tar
from servers import DOCKYARD, Hub, Machine


@pytest.fixture
def image(dockyard: Machine, tmp_path: Path) -> str:
    """An image called team/app:1; its ID."""
    layout = Layout(busybox(tmp_path / "made"))
    dockyard.ok("copy", f"oci:{layout.folder}:latest", "engine:team/app:1")
    return layout.image_id()


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_what_is_saved_is_loaded_again(form: str, image: str, dockyard: Machine, tmp_path: Path) -> None:
    dockyard.ok("tag", "team/app:1", "team/app:2")
    dockyard.ok("save", "--format", form, "-o", tmp_path / "saved.tar", "team/app")
    dockyard.ok("rmi", "-f", image)
    loaded = dockyard.ok("load", "-i", tmp_path / "saved.tar")

    assert sorted(loaded.splitlines()) == ["Loaded image: team/app:1", "Loaded image: team/app:2"]
    assert dockyard.ok("image", "inspect", "-f", "{{.Id}}", "team/app:2").strip() == image
    assert (tmp_path / "saved.tar").stat().st_mode & 0o777 == 0o600


def test_a_pipe_carries_an_image(image: str, dockyard: Machine) -> None:
    saved = subprocess.run([DOCKYARD, "save", "team/app:1"], env=dockyard.env, capture_output=True, check=True).stdout
    dockyard.ok("rmi", "team/app:1")
    loaded = subprocess.run([DOCKYARD, "load"], env=dockyard.env, input=saved, capture_output=True, check=True)

    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        assert "manifest.json" in archive.getnames()
    assert loaded.stdout == b"Loaded image: team/app:1\n"


def test_the_old_form_of_docker_save_is_loaded(dockyard: Machine, tmp_path: Path) -> None:
    layout = busybox(tmp_path / "made")
    archive = docker_save(layout, tmp_path / "old.tar", "docker.io/team/old:1")

    assert dockyard.ok("load", "--input", archive) == "Loaded image: team/old:1\n"


def test_a_terminal_gets_no_archive_and_a_save_that_fails_leaves_nothing(
    image: str, dockyard: Machine, tmp_path: Path
) -> None:
    terminal, other_end = pty.openpty()
    done = subprocess.run(
        [DOCKYARD, "save", "team/app:1"], env=dockyard.env, stdout=other_end, stderr=subprocess.PIPE, check=False
    )
    os.close(other_end)
    os.close(terminal)
    missing = dockyard("save", "-o", tmp_path / "out" / "x.tar", "team/app:1")
    (tmp_path / "kept.tar").write_text("kept")
    unknown = dockyard("save", "-o", tmp_path / "kept.tar", "nope")

    assert (done.returncode, b"cowardly refusing to save to a terminal" in done.stderr) == (1, True)
    assert "invalid output path" in missing.stderr
    assert "No such image: nope:latest" in unknown.stderr
    assert (tmp_path / "kept.tar").read_text() == "kept"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_device_is_written_as_it_is(image: str, dockyard: Machine) -> None:
    dockyard.ok("save", "-o", "/dev/null", "team/app:1")

    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("junk", [b"", b"this is no archive" * 100, b"\x1f\x8b\x08broken", b"\0" * 2048])
def test_what_is_no_archive_is_refused(junk: bytes, dockyard: Machine, tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(junk)
    done = dockyard("load", "-i", tmp_path / "junk")

    assert (done.returncode, done.stdout) == (1, "")
    assert "dockyard failed" not in done.stderr
    assert done.stderr.startswith("Error: ")


def test_one_platform_is_saved_and_loaded(dockyard: Machine, tmp_path: Path) -> None:
    layout = multi_platform(tmp_path / "many")
    dockyard.ok("copy", "--all-platforms", f"oci:{layout}:latest", "engine:many:1")
    dockyard.ok("save", "--platform", "linux/arm64", "-o", tmp_path / "arm.tar", "many:1")
    dockyard.ok("rmi", "many:1")
    dockyard.ok("load", "-i", tmp_path / "arm.tar")

    refused = dockyard("load", "--platform", "linux/amd64", "-i", tmp_path / "arm.tar")

    assert dockyard.ok("images", "--format", "{{.Platform}}", "many") == "linux/arm64\n"
    assert refused.returncode == 1
    assert "its platform (linux/arm64) does not match linux/amd64" in refused.stderr


def test_of_an_archive_of_several_platforms_one_is_loaded(dockyard: Machine, tmp_path: Path) -> None:
    made = multi_platform(tmp_path / "many")
    dockyard.ok("copy", f"oci:{made}:latest", f"oci-archive:{tmp_path / 'all.tar'}:team/many:1")
    dockyard.ok("load", "--platform", "linux/arm64", "-i", tmp_path / "all.tar")
    refused = dockyard("load", "--platform", "linux/s390x", "-i", tmp_path / "all.tar")

    assert dockyard.ok("images", "--format", "{{.Platform}}") == "linux/arm64\n"
    assert refused.returncode == 1
    assert "linux/s390x" in refused.stderr


def test_loading_shows_how_far_it_is_at_a_terminal_unless_told_not_to(
    image: str, dockyard: Machine, tmp_path: Path
) -> None:
    dockyard.ok("save", "-o", tmp_path / "saved.tar", "team/app:1")
    loud = at_a_terminal(dockyard, "load", "-i", str(tmp_path / "saved.tar"))
    quiet = at_a_terminal(dockyard, "load", "-q", "-i", str(tmp_path / "saved.tar"))

    assert "Loading" in loud
    assert "Loading" not in quiet
    assert "Loaded image: team/app:1" in loud
    assert "Loaded image: team/app:1" in quiet


def at_a_terminal(machine: Machine, *words: str) -> str:
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [DOCKYARD, *words], env=machine.env, stdin=other_end, stdout=other_end, stderr=other_end
    ) as process:
        os.close(other_end)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(terminal, 65536):
                shown += piece
        assert process.wait(60) == 0
    os.close(terminal)
    return shown.decode()


def test_a_copy_takes_one_platform(dockyard: Machine, tmp_path: Path) -> None:
    made = multi_platform(tmp_path / "many")
    dockyard.ok("copy", "--platform", "linux/arm64", f"oci:{made}:latest", "engine:arm")
    refused = dockyard("copy", "--platform", "linux/s390x", f"oci:{made}:latest", f"oci:{tmp_path / 'x'}")
    single = dockyard("copy", "--platform", "windows/amd64", "engine:arm", f"oci:{tmp_path / 'y'}")

    assert (single.returncode, not (tmp_path / "y").exists()) == (1, True)
    assert "its platform (linux/arm64) does not match windows/amd64" in single.stderr
    assert dockyard.ok("images", "--format", "{{.Platform}}") == "linux/arm64\n"
    assert "no matching manifest for linux/s390x" in refused.stderr


def test_a_file_system_becomes_an_image(dockyard: Machine, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(tar([("hello", b"world")]))
    id = dockyard.ok(
        "import", "-c", 'CMD ["/hello", "you"]', "-c", "ENV A=b", "--change", "LABEL who=me", "-m", "made by hand",
        "--platform", "linux/arm64", tmp_path / "root.tar", "team/imported:1",
    ).strip()  # fmt: skip
    found = json.loads(dockyard.ok("inspect", id))[0]

    assert found["RepoTags"] == ["team/imported:1"]
    assert found["Config"]["Cmd"] == ["/hello", "you"]
    assert found["Config"]["Env"] == ["A=b"]
    assert found["Config"]["Labels"] == {"who": "me"}
    assert (found["Architecture"], found["Comment"]) == ("arm64", "made by hand")


def test_an_import_reads_a_pipe_and_a_url(dockyard: Machine, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "root.tar").write_bytes(tar([("hello", b"world")]))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        by_url = dockyard.ok("import", f"{url}/root.tar", "by-url")
        missing = dockyard("import", f"{url}/none.tar")
        server.shutdown()
    with (tmp_path / "www" / "root.tar").open("rb") as file:
        by_pipe = subprocess.run(
            [DOCKYARD, "import", "-"], env=dockyard.env, stdin=file, capture_output=True, check=True
        )

    assert by_url.startswith("sha256:")
    assert dockyard.ok("history", "--format", "{{.Comment}}", "by-url") == f"Imported from {url}/root.tar\n"
    assert by_pipe.stdout.startswith(b"sha256:")
    assert (missing.returncode, "can't fetch" in missing.stderr) == (1, True)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("change", ["RUN rm -rf /", "EXPOSE", "NONSENSE x"])
def test_a_change_that_import_can_not_make_is_refused(change: str, dockyard: Machine, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(tar([("hello", b"world")]))
    done = dockyard("import", "--change", change, tmp_path / "root.tar")

    assert done.returncode == 1
    assert "dockyard failed" not in done.stderr
    assert dockyard.ok("images", "-q") == ""


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_a_copy_goes_out_to_a_file_and_comes_back_as_it_was(
    kind: str, image: str, dockyard: Machine, tmp_path: Path
) -> None:
    place = f"{kind}:{tmp_path / 'there'}:team/app:1"
    out = dockyard.ok("copy", "engine:team/app:1", place)
    dockyard.ok("rmi", "team/app:1")
    back = dockyard.ok("copy", "-q", place, "engine:back")

    assert f"Copied to {place}: " in out
    assert back.strip() == next(line for line in out.splitlines() if line.startswith("Digest: ")).split()[1]
    assert dockyard.ok("images", "-q", "--no-trunc", "back").strip() == image
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("kind", ["engine:", "docker://"])
def test_a_copy_calls_nothing_by_a_digest_that_it_does_not_have(
    kind: str, image: str, dockyard: Machine, hub: Hub
) -> None:
    repository = f"{hub.host}/copied/{kind[0]}"
    digest = dockyard.ok("image", "inspect", "-f", "{{.Descriptor.digest}}", "team/app:1").strip()
    done = dockyard("copy", "engine:team/app:1", f"{kind}{repository}@sha256:{'1' * 64}")

    assert done.returncode == 1
    assert done.stderr == f"Error: the image is {digest}, and can't be called {repository}@sha256:{'1' * 64}\n"
    assert dockyard.ok("copy", "-q", "engine:team/app:1", f"{kind}{repository}@{digest}") == f"{digest}\n"


def test_a_copy_takes_an_image_by_its_id_and_says_what_is_not_there(
    image: str, dockyard: Machine, tmp_path: Path
) -> None:
    dockyard.ok("copy", f"engine:{image[7:20]}", f"oci:{tmp_path / 'by-id'}")

    assert dockyard("copy", f"oci:{tmp_path / 'by-id'}", "engine:again").returncode == 0
    assert "No such image" in dockyard("copy", "engine:nope", f"oci:{tmp_path / 'x'}").stderr
    assert "no image called 'nope'" in dockyard("copy", f"oci:{tmp_path / 'by-id'}:nope", "engine:x").stderr
    assert "no such file" in dockyard("copy", f"oci-archive:{tmp_path / 'none'}", "engine:x").stderr
