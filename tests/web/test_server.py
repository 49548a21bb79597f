"""The server as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from servers import DOCKYARD, Hub, Server, free_port, plain_environment, run
from web.wire import Wire, dial, head_of, stamped

from dockyard.oci.digest import Digest

StartHub = Callable[..., Hub]


def ended(process: psutil.Process) -> bool:
    """Whether it has ended. In a container whose first process buries nobody, it stays as a zombie."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def gone(processes: list[psutil.Process], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not all(map(ended, processes)):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_the_first_line_is_an_address_that_answers(start_hub: StartHub) -> None:
    hub = start_hub()  # it reads the line, and looks for the address in it

    with Wire(hub) as wire:
        assert wire("GET", "/v2/").status == 200


def test_no_thread_of_ours_runs_while_workers_are_forked(tmp_path: Path) -> None:
    """A fork copies the locks that it holds, OpenSSL's among them: the worker would hang at its first new hash."""
    looking = (
        "import os, sys\n"
        "def running():\n"
        "    for frame in sys._current_frames().values():\n"
        "        files = set()\n"
        "        while frame:\n"
        "            files.add(frame.f_code.co_filename)\n"
        "            frame = frame.f_back\n"
        "        if not any(name == '<string>' for name in files):\n"
        "            yield from sorted(name for name in files if '/dockyard/' in name)\n"
        "os.register_at_fork(before=lambda: print('forked beside', list(running()), file=sys.stderr, flush=True))\n"
        "from dockyard.cli.main import main\n"
        "sys.exit(main())\n"
    )
    command = [DOCKYARD.with_name("python"), "-c", looking, "serve", "--listen", "127.0.0.1:0", "--workers", "3"]
    server = Server(
        [*command, "--data", tmp_path / "data"], log=tmp_path / "log", env=plain_environment(tmp_path / "home")
    )
    try:
        server.line()
        assert server.stop() == 0
    finally:
        server.kill()

    assert [line for line in server.log.read_text().splitlines() if "beside" in line] == ["forked beside []"] * 3


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_port_0_is_any_free_one(tmp_path: Path, host: str) -> None:
    command = [
        DOCKYARD,
        "serve",
        "--listen",
        f"{host}:0",
        "--data",
        tmp_path / "data",
        "--workers",
        "1",
        "--auth",
        "none",
    ]
    server = Server(command, log=tmp_path / "log", env=plain_environment(tmp_path / "home"))
    try:
        address = server.line()
        assert address.startswith(f"http://{host}:")
        with Wire(address.removeprefix("http://")) as wire:
            assert wire("GET", "/v2/").status == 200
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_leaves_no_process(start_hub: StartHub, ending: signal.Signals) -> None:
    hub = start_hub(workers=3)
    workers = hub.workers()
    hub.process.send_signal(ending)

    assert hub.process.wait(30) == 0
    assert gone(workers)
    with pytest.raises(ConnectionRefusedError):
        dial(hub)


@pytest.mark.parametrize("turn", range(8))
def test_ctrl_c_reaches_every_process_even_while_workers_start_and_ends_with_0(start_hub: StartHub, turn: int) -> None:
    hub = start_hub(workers=3)  # the address is there when the first of them answers
    os.killpg(hub.pid, signal.SIGINT)

    assert hub.process.wait(30) == 0


def test_a_signal_to_all_processes_ends_it_with_0_whichever_hears_it_first(start_hub: StartHub) -> None:
    hub = start_hub(workers=2)
    first, *_ = workers = hub.workers()
    hub.process.send_signal(signal.SIGSTOP)
    first.terminate()
    while first.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    hub.process.send_signal(signal.SIGTERM)
    hub.process.send_signal(signal.SIGCONT)

    assert hub.process.wait(30) == 0
    assert gone(workers)


def test_a_hub_that_is_started_again_has_what_it_had(start_hub: StartHub, tmp_path: Path) -> None:
    hub = start_hub(data=tmp_path / "data")
    with Wire(hub) as wire:
        manifest = wire.push_image("team/app", "v1")
    hub.stop()
    hub = start_hub(data=tmp_path / "data", port=hub.port)

    with Wire(hub) as wire:
        assert wire("GET", "/v2/team/app/manifests/v1").body == manifest.raw


def test_a_taken_port_is_said_whoever_has_it(start_hub: StartHub, tmp_path: Path) -> None:
    hub = start_hub()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        for port in hub.port, other.getsockname()[1]:
            refused = run(DOCKYARD, "serve", "--listen", f"127.0.0.1:{port}", "--data", tmp_path / "second", timeout=60)

            assert refused.returncode == 1
            assert refused.stdout == ""
            assert f"port {port} of 127.0.0.1 is taken" in refused.stderr
            assert f"--listen 127.0.0.1:{port + 1}" in refused.stderr


def test_an_open_hub_is_not_shown_to_others_by_accident(tmp_path: Path) -> None:
    for host in "0.0.0.0", "[::]", "192.0.2.1":
        command = [DOCKYARD, "serve", "--auth", "none", "--listen", f"{host}:0", "--data", tmp_path / "data"]
        refused = run(*command, timeout=60)

        assert refused.returncode == 1
        assert "--insecure-open" in refused.stderr
        assert not (tmp_path / "data").exists()


def test_an_open_hub_is_shown_to_others_on_purpose(tmp_path: Path) -> None:
    port = free_port()
    command = [DOCKYARD, "serve", "--listen", f"0.0.0.0:{port}", "--data", tmp_path / "data", "--auth", "none"]
    server = Server([*command, "--insecure-open"], log=tmp_path / "log", env=plain_environment(tmp_path / "home"))
    try:
        assert server.line() == f"http://0.0.0.0:{port}"
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--listen", "nowhere"], "serve.listen"),
        (["--listen", "no.such.host.invalid:0", "--insecure-http"], "can't listen on no.such.host.invalid:0"),
        (["--listen", "192.0.2.1:0", "--insecure-http"], "can't listen on 192.0.2.1:0"),
        (["--auth", "ldap"], "serve.auth"),
        (["--workers", "many"], "serve.workers"),
        (["--log-level", "loud"], "serve.log-level"),
        (["--config", "/absent.toml"], "/absent.toml"),
        (["--data", "/proc/nothing"], "/proc"),
    ],
)
def test_a_setting_that_can_t_be_is_said_and_ends_with_1(tmp_path: Path, flags: list[str], said: str) -> None:
    refused = run(
        DOCKYARD, "serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data", *flags,
        env=plain_environment(tmp_path / "home"), timeout=60,
    )  # fmt: skip

    assert (refused.returncode, refused.stdout) == (1, "")
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_flag_wins_over_environment_and_that_over_file(start_hub: StartHub, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[serve]\nlog-level = "error"\nworkers = 3\nsparse = true\n')
    hub = start_hub("--config", str(settings), workers=1, env={"DOCKYARD_SERVE_LOG_LEVEL": "info"})
    manifest_of_absent = (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":'
        b'"application/vnd.oci.image.manifest.v1+json","digest":"sha256:' + b"0" * 64 + b'","size":1}]}'
    )
    with Wire(hub) as wire:
        accepted = wire("PUT", "/v2/team/app/manifests/v1", manifest_of_absent)

    assert len(hub.workers()) == 1
    assert accepted.status == 201
    hub.stop()
    assert '"event":"request"' in hub.log.read_text()


@pytest.mark.parametrize("told", [os.kill, os.killpg], ids=["first process", "all processes"])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_transfers_that_run_when_it_is_told_to_end_are_ended(
    start_hub: StartHub, ending: signal.Signals, told: Callable[[int, int], None]
) -> None:
    hub = start_hub()
    content, large = stamped(), os.urandom(32 * 1024 * 1024)
    with Wire(hub) as wire:
        location, digest = wire.begin("team/app"), wire.push_blob("team/app", large)
    with dial(hub) as up, dial(hub) as down, dial(hub) as part, dial(hub) as idle:
        path = f"{location}?digest={Digest.of(content)}"
        up.sendall(f"PUT {path} HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        up.sendall(content[:5])
        down.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: hub\r\n\r\n".encode())
        part.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: hub\r\nRange: bytes=1-\r\n\r\n".encode())
        idle.sendall(b"GET /v2/ HTTP/1.1\r\nHost: hub\r\n\r\n")
        head_of(down), head_of(part), head_of(idle)

        told(hub.pid, ending)
        deadline = time.monotonic() + 20
        while hub_takes_connections(hub):
            assert time.monotonic() < deadline
        up.sendall(content[5:])
        answer = head_of(up)
        received = read_all(down, len(large))
        received_part = read_all(part, len(large) - 1)

    assert answer.startswith("HTTP/1.1 201 ")
    assert received == large
    assert received_part == large[1:]
    assert hub.process.wait(30) == 0


def hub_takes_connections(hub: Hub) -> bool:
    try:
        dial(hub).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it closes just now
        pass
    return True


def read_all(peer: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        piece = peer.recv(1024 * 1024)
        assert piece, f"{len(received)} of {size} bytes"
        received += piece
    return bytes(received)


def test_a_worker_that_dies_is_replaced(start_hub: StartHub) -> None:
    hub = start_hub(workers=2)
    before = {worker.pid for worker in hub.workers()}
    victim = hub.workers()[0]
    victim.kill()
    deadline = time.monotonic() + 30
    while not (len(after := {worker.pid for worker in hub.workers()}) == 2 and victim.pid not in after):
        assert time.monotonic() < deadline

    # The one that is left may itself have begun a moment ago, and not listen yet.
    status = 0
    while status != 200:
        assert time.monotonic() < deadline
        with contextlib.suppress(ConnectionError), Wire(hub) as wire:
            status = wire("GET", "/v2/").status

    assert len(before & after) == 1
    assert hub.stop() == 0


def test_workers_do_not_outlive_the_first_process(start_hub: StartHub) -> None:
    hub = start_hub(workers=2)
    workers = hub.workers()
    hub.process.kill()

    assert gone(workers)
