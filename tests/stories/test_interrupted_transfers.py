"""A push or a pull is killed, or stopped with Ctrl-C, and started again: only the rest goes over the wire."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from images import Layout, big_layer
from proxy import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Containers, Hub, Machine

MEGABYTE = 1 << 20
SIZE, PART = 256 * MEGABYTE, 192 * MEGABYTE
SLACK = 24 * MEGABYTE
"""What is on its way when the connection is lost: in sockets, and in what neither side has written down yet."""

RANGES = 64 * MEGABYTE
"""The same for a pull over a slow line: up to 32 MiB of ranges fetched side by side, and their sockets' buffers."""

STOPS = [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(big_layer(tmp_path_factory.mktemp("big") / "made", SIZE))


def stop_at(process: subprocess.Popen[str], proxy: CountingProxy, how: signal.Signals) -> int:
    """Send the signal once the proxy holds bytes back; return the exit code."""
    with process:
        reached = proxy.reached.wait(120)
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
        assert reached, out + err
        assert "Traceback" not in err
    return process.returncode


@pytest.mark.parametrize(("how", "code"), STOPS, ids=["kill", "ctrl-c"])
def test_a_push_that_was_stopped_sends_only_the_rest(
    start_hub: Callable[..., Hub], dockyard: Machine, image: Layout, how: signal.Signals, code: int
) -> None:
    hub = start_hub()
    with CountingProxy(hub.port, hold_sent=PART) as proxy:
        name = f"{proxy.host}/resumed/push:latest"
        dockyard.ok("copy", f"oci:{image.folder}:latest", f"engine:{name}")
        stopped = stop_at(dockyard.start("push", name), proxy, how)
        proxy.release()
        dockyard.ok("push", name)

        assert stopped == code
        assert SIZE - PART - MEGABYTE < proxy.sent < SIZE - PART + SLACK
    pulled = dockyard.folder / "pulled"
    dockyard.ok("copy", f"docker://{hub.host}/resumed/push:latest", f"oci:{pulled}:latest")
    assert Layout(pulled).reachable() == image.reachable()


@pytest.mark.parametrize(("how", "code"), STOPS, ids=["kill", "ctrl-c"])
def test_a_pull_that_was_stopped_fetches_only_the_rest(
    start_hub: Callable[..., Hub], dockyard: Machine, image: Layout, how: signal.Signals, code: int
) -> None:
    hub = start_hub()
    dockyard.ok("copy", f"oci:{image.folder}:latest", f"docker://{hub.host}/resumed/pull:latest")
    with CountingProxy(hub.port, hold_received=PART) as proxy:
        name = f"{proxy.host}/resumed/pull:latest"
        stopped = stop_at(dockyard.start("pull", name), proxy, how)
        names = dockyard.ok("images", "-q")
        proxy.release()
        dockyard.ok("pull", name)

        assert stopped == code
        assert names == ""
        assert SIZE - PART - MEGABYTE < proxy.received < SIZE - PART + RANGES
    assert dockyard.ok("image", "inspect", "--format", "{{.Id}}", name).strip() == image.image_id()


def test_a_connection_that_is_cut_is_taken_up_again_by_the_same_push(
    start_hub: Callable[..., Hub], dockyard: Machine, image: Layout
) -> None:
    hub = start_hub()
    with CountingProxy(hub.port, hold_sent=PART) as proxy:
        name = f"docker://{proxy.host}/resumed/cut:latest"
        with dockyard.start("copy", f"oci:{image.folder}:latest", name) as process:
            reached = proxy.reached.wait(120)
            proxy.release()
            out, err = process.communicate(timeout=120)

        assert reached
        assert process.returncode == 0, out + err
        assert proxy.sent < SIZE - PART + SLACK


def test_a_push_goes_on_after_the_hub_was_killed_and_started_again(
    start_hub: Callable[..., Hub], dockyard: Machine, image: Layout, tmp_path: Path, containers: Containers
) -> None:
    hub = start_hub(data=tmp_path / "hub")
    with CountingProxy(hub.port, hold_sent=PART) as proxy:
        name = f"{proxy.host}/resumed/restart:latest"
        with dockyard.start("copy", f"oci:{image.folder}:latest", f"docker://{name}") as process:
            reached = proxy.reached.wait(120)
            hub.kill()
            start_hub(data=tmp_path / "hub", port=hub.port)
            proxy.release()
            out, err = process.communicate(timeout=120)
        code = process.returncode

        assert reached
        assert code == 0, out + err
        # A killed hub has lost what it had not synced when it died: more is sent again, but never everything.
        assert proxy.sent < SIZE - 32 * MEGABYTE
    containers.ok(
        "skopeo",
        "copy",
        "--preserve-digests",
        f"docker://{hub.host}/resumed/restart:latest",
        f"oci:{tmp_path / 'pulled'}:latest",
    )
    assert Layout(tmp_path / "pulled").reachable() == image.reachable()
