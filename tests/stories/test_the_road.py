"""The whole road of a new user: tag, list, push with progress, see it in the hub, remove, pull elsewhere."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from images import Layout, big_layer, busybox, sha256
from proxy import CountingProxy
from servers import DOCKYARD, get, plain_environment, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub, Machine

DEMO = Path(__file__).parents[2] / "docs/tutorial/demo"

pytestmark = pytest.mark.slow


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A file system as a tar, as `tar -c` makes it."""
    (tmp_path / "hello.txt").write_text("hello")
    with tarfile.open(tmp_path / "rootfs.tar", "w") as archive:
        archive.add(tmp_path / "hello.txt", "hello.txt")
    return tmp_path / "rootfs.tar"


def test_an_image_is_imported_tagged_pushed_removed_and_pulled_back(
    hub: Hub, dockyard: Machine, machine: Callable[[str], Machine], rootfs: Path
) -> None:
    imported = dockyard.ok("image", "import", "--change", 'CMD ["/hello"]', rootfs, "tweet-app").strip()
    name = f"{hub.host}/sixeyed/tweet-app"
    dockyard.ok("image", "tag", "tweet-app", name)
    listed = [line.split() for line in dockyard.ok("image", "ls").splitlines()]

    assert [row[:2] for row in listed] == [["REPOSITORY", "TAG"], [name, "latest"], ["tweet-app", "latest"]] or [
        row[:2] for row in listed
    ] == [["REPOSITORY", "TAG"], ["tweet-app", "latest"], [name, "latest"]]
    assert {row[2] for row in listed[1:]} == {imported.removeprefix("sha256:")[:12]}
    pushed = dockyard.ok("image", "push", name)
    assert f"The push refers to repository [{name}]" in pushed
    assert "Pushed" in pushed
    assert "latest: digest: sha256:" in pushed
    assert dockyard.ok("tags", name).split() == ["latest"]
    dockyard.ok("image", "rm", "tweet-app", name)
    assert dockyard.ok("image", "ls", "-q") == ""
    for one in (dockyard, machine("elsewhere")):
        pulled = one.ok("image", "pull", name)
        assert "Using default tag: latest" in pulled
        assert "Pull complete" in pulled
        assert f"Status: Downloaded newer image for {name}:latest" in pulled
        assert one.ok("image", "inspect", "--format", "{{.Id}}", name).strip() == imported


def test_a_second_tag_and_a_second_repository_send_nothing_again(hub: Hub, dockyard: Machine, tmp_path: Path) -> None:
    layout = Layout(big_layer(tmp_path / "made", 8 << 20))
    with CountingProxy(hub.port) as proxy:
        first = f"{proxy.host}/road/first"
        for name in (f"{first}:v1", f"{first}:v2", f"{proxy.host}/road/second:v1"):
            dockyard.ok("copy", f"oci:{layout.folder}:latest", f"engine:{name}")
        dockyard.ok("push", f"{first}:v1")
        once = proxy.sent
        again, mounted = dockyard.ok("push", f"{first}:v2"), dockyard.ok("push", f"{proxy.host}/road/second:v1")

        assert once > 8 << 20
        assert proxy.sent - once < 100_000
    assert "Layer already exists" in again
    assert "Mounted from road/first" in mounted


def test_push_dry_run_says_what_would_be_sent_and_sends_nothing(hub: Hub, dockyard: Machine, tmp_path: Path) -> None:
    name = f"{hub.host}/road/dry:v1"
    dockyard.ok("copy", f"oci:{busybox(tmp_path / 'made')}:latest", f"engine:{name}")
    told = dockyard.ok("push", "--dry-run", name)

    assert "upload" in told.lower()
    assert get(f"{hub.url}/v2/road/dry/tags/list")[0] == 404


def test_progress_on_a_terminal_is_a_bar_for_each_layer(hub: Hub, dockyard: Machine, tmp_path: Path) -> None:
    name = f"{hub.host}/road/bars:v1"
    dockyard.ok("copy", f"oci:{big_layer(tmp_path / 'made', 32 << 20)}:latest", f"engine:{name}")
    main, terminal = pty.openpty()
    with subprocess.Popen(
        [DOCKYARD, "push", name], env=dockyard.env | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(terminal)
        seen = b""
        try:
            while piece := os.read(main, 65536):
                seen += piece
        except OSError:  # a terminal whose other end was closed
            pass
        os.close(main)

    assert process.returncode == 0
    assert b"Pushing" in seen
    assert b"\x1b[" in seen
    assert b"Pushed" in seen


def test_what_our_hub_serves_is_plain_http_that_curl_understands(hub: Hub, dockyard: Machine, tmp_path: Path) -> None:
    layout = Layout(busybox(tmp_path / "made"))
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"docker://{hub.host}/road/curl:v1")
    status, headers, body = get(f"{hub.url}/v2/road/curl/manifests/v1")

    assert (status, body) == (200, layout.manifest())
    assert headers["Docker-Content-Digest"] == sha256(body) == layout.find()["digest"]
    assert json.loads(get(f"{hub.url}/v2/road/curl/tags/list")[2]) == {"name": "road/curl", "tags": ["v1"]}


def test_the_demo_runs_to_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    env = plain_environment(tmp_path / "home") | {"TMPDIR": str(tmp_path / "tmp"), "ONCE": "1"}
    done = run(DEMO, env=env)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same image ID" in done.stdout
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


def test_the_demo_serves_until_ctrl_c_on_another_port_where_5000_is_taken(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    env = plain_environment(tmp_path / "home") | {"TMPDIR": str(tmp_path / "tmp"), "PORT": str(hub.port)}
    command = ["env", "--default-signal=INT", DEMO]  # SIGINT may be ignored where tests run; not in a person's shell
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True) as demo:
        assert demo.stdout
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if "Ctrl-C stops it" in line:
                break
        address = next(word for line in lines if line.startswith("Your hub is at ") for word in line.split()[-1:])
        status, _, page = get(f"{address}/")
        os.killpg(demo.pid, signal.SIGINT)
        code = demo.wait(60)

    assert any(f"Port {hub.port} is taken" in line for line in lines)
    assert (status, code) == (200, 0)
    assert b"dockyard hub" in page
    assert list((tmp_path / "tmp").iterdir()) == []
