"""RUN --mount in real containers: what each kind shows, what is kept, and what hostile ones can't reach."""

from __future__ import annotations

import os
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from engine.containers import Runs, busybox

from dockyard.dockerfile.steps import Mount, Origin, Where
from dockyard.engine.agent_socket import forwarded
from dockyard.engine.mount_sources import CacheMounts
from dockyard.engine.snapshots import Stack
from dockyard.errors import BuildFailed

pytestmark = pytest.mark.slow
CONTEXT, STAGE = Origin(Where.CONTEXT, "context"), Origin(Where.STAGE, "stage", 0)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    context = tmp_path / "context"
    (context / "sub").mkdir(parents=True)
    (context / "sub/file").write_text("from the context\n")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one/lower").write_text("one\n")
    (tmp_path / "one/both").write_text("one\n")
    (tmp_path / "two/both").write_text("two\n")
    os.mknod(tmp_path / "two/lower", stat.S_IFCHR)
    runs = Runs(tmp_path, Stack((busybox(tmp_path / "layer"),)))
    runs.places.found = {"context": context, "stage": Stack((tmp_path / "one", tmp_path / "two"))}
    return runs


def test_a_bind_shows_the_context_and_lets_nobody_write(runs: Runs) -> None:
    bind = Mount("bind", "/src", CONTEXT, readonly=True)

    assert (
        runs("cat /src/sub/file; touch /src/sub/x || echo read-only", mounts=(bind,)) == "from the context\nread-only\n"
    )
    assert not runs.changed()


def test_a_bind_of_one_file_is_a_file(runs: Runs) -> None:
    bind = Mount("bind", "/etc/some.conf", CONTEXT, "sub/file", readonly=True)

    assert runs("cat /etc/some.conf", mounts=(bind,)) == "from the context\n"
    assert not runs.changed()


@pytest.mark.parametrize(("source", "target"), [("", "/src/sub/file"), ("sub/file", "/src")])
def test_what_is_written_to_a_bind_is_thrown_away(runs: Runs, source: str, target: str) -> None:
    bind = Mount("bind", "/src", CONTEXT, source, readonly=False)

    assert runs(f"echo changed > {target}; cat {target}", mounts=(bind,)) == "changed\n"
    assert (runs.folder / "context/sub/file").read_text() == "from the context\n"
    assert not runs.changed()
    assert not runs.mounts()


def test_a_bind_of_a_stage_shows_its_layers_as_one(runs: Runs) -> None:
    readable = Mount("bind", "/stage", STAGE, readonly=True)
    writable = Mount("bind", "/stage", STAGE, readonly=False)

    assert runs("cat /stage/both; ls /stage", mounts=(readable,)) == "two\nboth\n"
    assert runs("echo x > /stage/new; rm /stage/both; ls /stage", mounts=(writable,)) == "new\n"
    assert sorted(os.listdir(runs.folder / "two")) == ["both", "lower"]


def test_a_bind_of_nothing_is_empty(runs: Runs) -> None:
    runs.places.found["none"] = Stack()

    assert runs("ls -A /none", mounts=(Mount("bind", "/none", Origin(Where.SCRATCH, "none"), readonly=True),)) == ""


def test_a_bind_of_what_isnt_there_is_dockers_error(runs: Runs) -> None:
    with pytest.raises(BuildFailed) as caught:
        runs("true", mounts=(Mount("bind", "/src", CONTEXT, "/absent/x", readonly=True),))

    assert caught.value.message == '"/absent/x": not found'


@pytest.mark.parametrize("source", ["../../../../etc", "out", "up/etc", "sub/../../../../../etc"])
def test_a_bind_never_leaves_its_tree(runs: Runs, source: str) -> None:
    context = runs.folder / "context"
    (context / "out").symlink_to("/etc")
    (context / "up").symlink_to("../../../../../../../..")
    (context / "etc").mkdir()
    (context / "etc/mine").touch()

    assert runs("ls /src", mounts=(Mount("bind", "/src", CONTEXT, source, readonly=True),)) == "mine\n"


def test_a_bind_of_a_jumping_link_or_a_device_is_refused(runs: Runs) -> None:
    os.mkfifo(runs.folder / "context/pipe")

    with pytest.raises(BuildFailed, match="neither a folder nor a file"):
        runs("true", mounts=(Mount("bind", "/src", CONTEXT, "pipe", readonly=True),))


@pytest.mark.parametrize("target", ["/link/into", "/link", "/up/into", "/dangling/into"])
def test_a_target_over_a_link_stays_in_the_container(runs: Runs, target: str) -> None:
    canary = runs.folder / "canary"
    canary.mkdir()
    layer = runs.stack.lowers[0]
    (layer / "link").symlink_to(canary)
    (layer / "up").symlink_to(f"../../../../../../../..{canary}")
    (layer / "dangling").symlink_to(f"{canary}/deeper")
    mounts = (Mount("cache", target, id="c"), Mount("tmpfs", f"{target}2/x"))

    assert runs(f"echo x > {target}/file; cat {target}/file", mounts=mounts) == "x\n"
    assert not os.listdir(canary)
    assert not runs.changed()


def test_a_cache_is_kept_from_run_to_run_and_never_in_the_layer(runs: Runs) -> None:
    cache = Mount("cache", "/root/.cache/x", mode=0o750, uid=1000, gid=1001)

    assert runs("stat -c '%a %u %g' /root/.cache/x; echo 1 > /root/.cache/x/n", mounts=(cache,)) == "750 1000 1001\n"
    assert not runs.changed()
    assert runs("cat /root/.cache/x/n", mounts=(cache,)) == "1\n"
    assert runs("ls /root/.cache/x", mounts=(Mount("cache", "/root/.cache/x", id="other"),)) == ""
    assert runs("ls /c; touch /c/y || echo no", mounts=(Mount("cache", "/c", id="other", readonly=True),)) == "no\n"


def test_a_cache_begins_with_what_it_is_told(runs: Runs) -> None:
    cache = Mount("cache", "/c", STAGE, id="seeded")

    assert runs("ls /c; rm /c/both; echo x > /c/new", mounts=(cache,)) == "both\n"
    assert runs("ls /c", mounts=(cache,)) == "new\n"
    assert runs("ls /c", mounts=(Mount("cache", "/c", CONTEXT, "sub", id="seeded"),)) == "file\n"
    with pytest.raises(BuildFailed, match="no folder"):
        runs("true", mounts=(Mount("cache", "/c", CONTEXT, "sub/file", id="y"),))


@pytest.mark.parametrize("name", ["../../../../../../etc", "/etc", "..", "a\x00b", "x" * 5000])
def test_a_caches_id_is_no_path(runs: Runs, name: str) -> None:
    before = sorted(os.listdir("/etc"))
    assert runs("echo x > /c/planted; ls /c", mounts=(Mount("cache", "/c", id=name),)) == "planted\n"

    [folder] = (runs.folder / "cache-mounts").iterdir()
    assert (folder / "data/planted").exists()
    assert before == sorted(os.listdir("/etc"))


def test_a_locked_cache_waits_a_private_one_gets_a_sister_and_a_shared_one_is_shared(runs: Runs) -> None:
    kinds = {kind: Mount("cache", "/c", id="same", sharing=kind) for kind in ("shared", "private", "locked")}
    caches, second = CacheMounts(runs.folder / "caches"), CacheMounts(runs.folder / "caches")
    with caches.hold(kinds["shared"], None) as one, second.hold(kinds["shared"], None) as two:
        assert one.cache == two.cache
    with caches.hold(kinds["private"], None) as one, second.hold(kinds["private"], None) as two:
        assert one.cache != two.cache
        assert not caches.remove_unused()
        assert Path(one.cache).exists()
    with caches.hold(kinds["locked"], None) as one:
        with pytest.raises(BuildFailed, match="canceled"), second.hold(kinds["locked"], None, lambda: True):
            pass
        with caches.hold(kinds["locked"], None) as again:  # one command that mounts it twice does not wait for itself
            assert one.cache == again.cache
    caches.remove_unused()

    assert not caches.sizes()


def test_two_steps_that_race_for_links_in_a_shared_cache_stay_in_their_containers(runs: Runs) -> None:
    canary = runs.folder / "canary"
    canary.mkdir()
    (canary / "secret").write_text("the machine's\n")
    cache = Mount("cache", "/c", id="shared")
    inner = Mount("bind", "/c/a/in", CONTEXT, "sub", readonly=True)
    other = Runs(runs.folder / "other", runs.stack, runs.places)
    other.folder.mkdir()
    (other.folder / "cache-mounts").symlink_to(runs.folder / "cache-mounts")
    runs("mkdir -p /c/a", mounts=(cache,))
    ten = "0 1 2 3 4 5 6 7 8 9"
    swap = f"for i in {ten}; do for j in {ten}; do mv /c/a /c/b; ln -s {canary} /c/a; rm /c/a; mv /c/b /c/a; done; done"

    def racing() -> None:
        other(swap, mounts=(cache,))

    with ThreadPoolExecutor(1) as thread:
        racer = thread.submit(racing)
        while not racer.done():
            try:
                seen = runs("cat /c/a/in/* /c/a/secret; touch /c/a/planted", mounts=(cache, inner))
            except BuildFailed:
                seen = ""
            assert "machine" not in seen
        racer.result()

    assert sorted(os.listdir(canary)) == ["secret"]


def test_a_tmpfs_is_as_large_as_it_is_told_and_gone_afterwards(runs: Runs) -> None:
    mount = Mount("tmpfs", "/big", size=1024 * 1024)

    assert "1024" in runs("busybox df -k /big | busybox tail -1; echo x > /big/x", mounts=(mount,))
    assert not runs.changed()


def test_a_secret_is_a_file_for_its_owner_in_memory_alone(runs: Runs) -> None:
    runs.options["secrets"] = {"token": b"hush-4711"}
    mount = Mount("secret", "/run/secrets/token", id="token", required=True)

    assert (
        runs("cat /run/secrets/token; stat -c ' %a %u %g' /run/secrets/token", mounts=(mount,)) == "hush-4711 400 0 0\n"
    )
    assert not runs.changed()
    owned = Mount("secret", "/s", id="token", mode=0o440, uid=1000, gid=1001)
    assert (
        runs("cat /s; stat -c ' %a %u %g' /s; touch /s || true", user="ann", mounts=(owned,))
        == "hush-4711 440 1000 1001\n"
    )
    for path in runs.folder.rglob("*"):
        assert not path.is_file() or b"hush-4711" not in path.read_bytes()


def test_a_secret_can_be_a_variable(runs: Runs) -> None:
    runs.options["secrets"] = {"token": b"hush-4711"}

    assert runs("echo $TOKEN; ls /run", mounts=(Mount("secret", "", id="token", env="TOKEN"),)) == "hush-4711\n"
    assert b"hush-4711" not in b"".join(path.read_bytes() for path in runs.folder.rglob("*") if path.is_file())


def test_a_secret_that_isnt_there_matters_where_it_is_required(runs: Runs) -> None:
    assert runs("ls /run", mounts=(Mount("secret", "/run/secrets/x", id="x"),)) == ""
    with pytest.raises(BuildFailed, match="secret x: not found"):
        runs("true", mounts=(Mount("secret", "/run/secrets/x", id="x", required=True),))


def test_an_agents_socket_is_there_with_its_variable(runs: Runs) -> None:
    runs.options["ssh"] = {"default": str(runs.folder / "agent")}
    mount = Mount("ssh", "/run/buildkit/ssh_agent.0", id="default", mode=0o600, uid=1000)
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(runs.folder / "agent"))
        agent.listen()
        threading.Thread(target=answer, args=(agent,), daemon=True).start()

        assert runs("stat -c '%F %a %u' $SSH_AUTH_SOCK", mounts=(mount,)) == "socket 600 1000\n"
        assert runs("echo $SSH_AUTH_SOCK", mounts=(mount,)) == "/run/buildkit/ssh_agent.0\n"
        assert not runs.changed()
        assert not list(runs.folder.glob("step*/agent*"))


def test_what_is_said_to_an_agents_socket_reaches_the_agent(runs: Runs) -> None:
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(runs.folder / "agent"))
        agent.listen()
        threading.Thread(target=answer, args=(agent,), daemon=True).start()
        (runs.folder / ("deep" * 40)).mkdir()
        with (
            forwarded(str(runs.folder / "agent"), runs.folder / ("deep" * 40), "own", mode=0o600, uid=0, gid=0) as path,
            socket.socket(socket.AF_UNIX) as client,
        ):
            folder = os.open(path.parent, os.O_PATH)
            client.connect(f"/proc/self/fd/{folder}/own")
            os.close(folder)
            client.sendall(b"hello")
            seen = client.recv(100)

    assert seen == b"HELLO"
    assert not path.exists()


def test_an_agent_that_isnt_there_matters_where_it_is_required(runs: Runs) -> None:
    with pytest.raises(BuildFailed, match='no SSH key "other" forwarded from the client'):
        runs("true", mounts=(Mount("ssh", "/x", id="other", required=True),))
    assert runs("ls /run; echo $SSH_AUTH_SOCK", mounts=(Mount("ssh", "/x", id="other"),)) == "\n"


def answer(agent: socket.socket) -> None:
    connection, _ = agent.accept()
    with connection:
        connection.sendall(connection.recv(100).upper())
