"""RUN in real containers: what a command sees, what it may, and what of it comes into the layer."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from engine.containers import Runs, busybox

from dockyard.engine.snapshots import Stack
from dockyard.errors import BuildFailed, Denied, Unavailable
from dockyard.oci.platform import Platform

pytestmark = pytest.mark.slow


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path, Stack((busybox(tmp_path / "layer"),)))


def test_what_a_command_writes_is_its_layer_and_nothing_else_is(tmp_path: Path) -> None:
    layer = busybox(tmp_path / "layer", bare=True)
    etc = os.stat(layer / "etc").st_mtime_ns
    runs = Runs(tmp_path, Stack((layer,)))

    assert runs("echo hello; echo oops >&2; echo kept > /new; ls /") == "hello\nbin\ndev\netc\nnew\nproc\nsys\n"
    assert runs.err == b"oops\n"
    assert list(runs.changed()) == ["new"]
    assert runs.last
    assert runs.last.pure
    assert os.stat(layer / "etc").st_mtime_ns == etc
    assert not runs.mounts()


def test_mount_points_that_a_command_touches_stay_out_of_the_layer_until_they_hold_something(tmp_path: Path) -> None:
    runs = Runs(tmp_path, Stack((busybox(tmp_path / "layer", bare=True),)))
    runs("touch /sys /etc; chmod 700 /run; true", mounts=(mount("tmpfs", "/run/a/b"), mount("tmpfs", "/srv/c")))

    assert list(runs.changed()) == ["etc"]
    assert runs.last
    assert not runs.last.pure
    runs("touch /run/a/own", mounts=(mount("tmpfs", "/run/a/b"),))
    assert list(runs.changed()) == ["run", "run/a", "run/a/own"]


def test_a_failing_command_ends_the_build_in_dockers_words(runs: Runs) -> None:
    with pytest.raises(BuildFailed) as caught:
        runs("exit 7")

    assert caught.value.exit_code == 7
    assert caught.value.message == 'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7'
    with pytest.raises(BuildFailed, match="exit code: 137"):
        runs("sleep 60 & kill -9 $!; wait $!")


def test_a_command_that_isnt_there_is_named(runs: Runs) -> None:
    with pytest.raises(BuildFailed, match='process "nothere x" did not complete successfully: exit code: 1') as caught:
        runs("nothere", "x")

    assert '"nothere": executable file not found in $PATH' in str(caught.value.hint)


def test_a_run_from_nothing_fails(tmp_path: Path) -> None:
    runs = Runs(tmp_path, Stack())

    with pytest.raises(BuildFailed, match="exit code: 1") as caught:
        runs("true")
    assert "/bin/sh" in str(caught.value.hint)


def test_the_machine_is_shown_as_docker_shows_it(runs: Runs) -> None:
    runs.options["shm_size"] = 1024 * 1024
    runs.options["add_hosts"] = ["db:10.0.0.7"]
    seen = runs(
        "cat /proc/1/comm; cat /proc/sys/kernel/hostname; umask; cat /etc/hosts;"
        "grep -E '^(Cap|Seccomp:|NoNew)' /proc/self/status;"
        "cat /proc/kcore | busybox wc -c; echo x > /proc/sys/kernel/hostname; touch /sys/x; ls /dev /sys/firmware;"
        "busybox df -k /dev/shm | busybox tail -1; mknod /dev/sda b 8 0; cat /dev/sda; ulimit -n;"
        "ls -l /proc/self/fd | busybox wc -l"
    )
    lines = seen.splitlines()

    assert lines[:6] == ["sh", "buildkitsandbox", "0022", "127.0.0.1\tlocalhost buildkitsandbox",
                         "::1\tlocalhost ip6-localhost ip6-loopback", "10.0.0.7\tdb"]  # fmt: skip
    assert "CapEff:\t00000000a80425fb" in lines
    assert "CapBnd:\t00000000a80425fb" in lines
    assert "CapInh:\t0000000000000000" in lines
    assert "NoNewPrivs:\t0" in lines
    assert "Seccomp:\t2" in lines
    assert "0" in lines
    assert "1024" in lines
    assert any("1024" in line and "/dev/shm" in line for line in lines)
    for name in ("fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"):
        assert name in lines
    assert b"Read-only file system" in runs.err
    assert b"can't open '/dev/sda': Operation not permitted" in runs.err
    assert lines[-1] == "5"  # the three streams, the folder that is listed, and a heading


def test_without_a_seccomp_profile_nothing_runs(runs: Runs, tmp_path: Path) -> None:
    runs.options["seccomp"] = tmp_path / "absent.json"

    with pytest.raises(Unavailable) as caught:
        runs("true")
    assert "golang-github-containers-common" in str(caught.value.hint)


def test_system_calls_that_need_more_rights_are_refused(runs: Runs) -> None:
    seen = runs("mount -t tmpfs x /tmp; busybox unshare -m true; busybox date -s 2020-01-01 >/dev/null; echo end")

    assert seen == "end\n"
    assert runs.err.count(b"permission denied") + runs.err.count(b"not permitted") == 3


def test_the_environment_is_only_what_it_is_given(runs: Runs) -> None:
    os.environ["DOCKYARD_LEAK"] = "yes"
    try:
        seen = runs("env", env=(("A", "1"),))
    finally:
        del os.environ["DOCKYARD_LEAK"]

    assert set(seen.splitlines()) == {
        "A=1", "HOME=/root", "PWD=/", "SHLVL=1",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("user", "seen"),
    [
        ("", "uid=0(root) gid=0(root) groups=0(root),10(wheel)"),
        ("ann", "uid=1000(ann) gid=1001(staff) groups=10(wheel),29(audio),1001(staff)"),
        ("ann:audio", "uid=1000(ann) gid=29(audio) groups=29(audio)"),
        ("4000:5000", "uid=4000 gid=5000 groups=5000"),
    ],
)
def test_user_says_who_runs_it(runs: Runs, user: str, seen: str) -> None:
    assert seen == runs("id", user=user).strip()


@pytest.mark.parametrize("user", ["4294967296", "-1", "0x0", "nobody"])
def test_a_user_that_cant_be_ends_the_build(runs: Runs, user: str) -> None:
    with pytest.raises(BuildFailed, match=r"unable to find user|must be in range"):
        runs("id", user=user)


def test_an_etc_passwd_that_is_a_link_out_or_a_pipe_is_not_read(runs: Runs) -> None:
    passwd = runs.stack.lowers[0] / "etc/passwd"
    passwd.unlink()
    passwd.symlink_to("../../../../../../etc/passwd")
    with pytest.raises(BuildFailed, match="unable to find user daemon"):
        runs("id", user="daemon")
    passwd.unlink()
    os.mkfifo(passwd)

    with pytest.raises(BuildFailed, match="unable to find user daemon"):
        runs("id", user="daemon")


def test_a_workdir_is_made_where_there_is_none(runs: Runs) -> None:
    assert runs("pwd", workdir="/a/b") == "/a/b\n"
    assert {path: stat.S_IMODE(found.st_mode) for path, found in runs.changed().items()} == {"a": 0o755, "a/b": 0o755}


@pytest.mark.parametrize("number", [0, 3, 5, 7, 8, 9, 10])
def test_a_workdir_among_open_files_leads_nowhere(runs: Runs, number: int) -> None:
    with pytest.raises(BuildFailed, match="exit code"):
        runs("cat etc/hostname ../../../../etc/hostname; pwd; ls", workdir=f"/proc/self/fd/{number}")

    assert not runs.out


def test_the_network_is_the_machines_unless_there_is_none(runs: Runs) -> None:
    machine = os.readlink("/proc/self/ns/net")

    assert runs("busybox readlink /proc/self/ns/net").strip() == machine
    assert runs("busybox readlink /proc/self/ns/net", network="host").strip() == machine
    assert runs("busybox readlink /proc/self/ns/net", network="none").strip() != machine
    seen = runs("ip -o link; busybox ping -c1 -W1 127.0.0.1 >/dev/null && echo up", network="none")
    assert [line.split(": ")[1] for line in seen.splitlines()[:-1] if "LOOPBACK" in line] == ["lo"]
    assert "eth0" not in seen
    assert seen.endswith("up\n")


def test_here_documents_are_there_while_it_runs(runs: Runs) -> None:
    script = "#!/bin/sh\necho from the script\n"

    assert runs("/dev/pipes/EOF", "x", scripts=(("/dev/pipes/EOF", script),)) == "from the script\n"
    assert not runs.changed()


def test_a_hundred_and_twenty_seven_layers_are_mounted(tmp_path: Path) -> None:
    layers = [busybox(tmp_path / ("a" * 64))]
    for number in range(126):
        layers.append(tmp_path / f"{number:0>64}" / "fs")
        layers[-1].mkdir(parents=True)
        (layers[-1] / f"file{number}").write_text(str(number))
        (layers[-1] / "same").write_text(str(number))
    runs = Runs(tmp_path, Stack(tuple(layers)))

    assert runs("cat /same; echo; ls / | grep -c file") == "125\n126\n"


def test_removals_and_replaced_folders_are_in_the_layer_as_overlayfs_has_them(runs: Runs) -> None:
    runs("rm /etc/group; rm -r /tmp; mkdir /tmp; touch /tmp/new")
    changed = runs.changed()

    assert stat.S_ISCHR(changed["etc/group"].st_mode)
    assert runs.last
    assert os.getxattr(runs.last.upper / "tmp", "trusted.overlay.opaque") == b"y"


def test_a_renamed_folder_is_wholly_in_the_layer(runs: Runs) -> None:
    runs("mv /etc /etc2 2>/dev/null; mkdir /d; mv /bin/busybox /d/; /d/busybox mv /root /root2; /d/busybox ls /root2")

    assert runs.last
    assert all(not name.startswith("trusted.overlay.redirect") for name in os.listxattr(runs.last.upper / "root2"))


def test_a_foreign_or_privileged_run_says_why_it_cant_be(runs: Runs) -> None:
    runs.options["platform"] = Platform("windows", "amd64")
    with pytest.raises(BuildFailed, match="windows/amd64"):
        runs("true")
    runs.options["platform"] = Platform("linux", "s390x")

    with pytest.raises(BuildFailed, match="s390x") as caught:
        runs("true")
    assert "qemu-user-static" in str(caught.value.hint)


def test_output_comes_while_the_command_runs_and_a_cancellation_ends_it(runs: Runs) -> None:
    def stop() -> None:
        while b"started" not in runs.out:
            time.sleep(0.02)
        runs.stop.set()

    watcher = threading.Thread(target=stop)
    watcher.start()
    begin = time.monotonic()
    with pytest.raises(BuildFailed, match="canceled"):
        runs("echo started; sleep 1234.5 & sleep 1234.5")
    watcher.join()

    assert time.monotonic() - begin < 10
    assert not sleepers("1234.5")
    assert not runs.mounts()
    assert not leftover_cgroups()


@pytest.mark.parametrize("victim", ["dockyard", "launch", "runc"])
def test_whoever_is_killed_takes_the_container_along(tmp_path: Path, victim: str) -> None:
    busybox(tmp_path / "layer")
    seconds = f"{4321.0 + ['dockyard', 'launch', 'runc'].index(victim) / 10}"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from engine.containers import *\n"
        f"runs = Runs(Path({str(tmp_path)!r}), Stack((Path({str(tmp_path / 'layer')!r}),)))\n"
        f"runs('sleep {seconds} & echo x; sleep {seconds}')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        until(lambda: len(sleepers(seconds)) == 2)
        [launch] = psutil.Process(process.pid).children()
        [runc] = launch.children()
        os.kill({"dockyard": process.pid, "launch": launch.pid, "runc": runc.pid}[victim], signal.SIGKILL)
        process.wait()
    until(lambda: not sleepers(seconds) and not psutil.pid_exists(runc.pid))

    assert process.returncode
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    Runs(tmp_path / "next", Stack((tmp_path / "layer",)))("true")
    assert not leftover_cgroups()


def test_a_run_that_asks_for_more_rights_is_refused(runs: Runs, tmp_path: Path) -> None:
    from dockyard.dockerfile.steps import RunAction
    from dockyard.engine.running import RunOptions, run

    action = RunAction(("true",), (), "", "/", security="insecure")
    with pytest.raises(Denied, match=r"security\.insecure"):
        run(action, runs.stack, work=tmp_path, sources=runs.places, options=RunOptions(tmp_path), output=print)


def test_a_store_where_overlayfs_cant_write_says_where_it_should_be(tmp_path: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    mounted = tmp_path / "merged"
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, mounted], check=True)
    try:
        with pytest.raises(BuildFailed, match="can't mount layers") as caught:
            Runs(mounted, Stack((busybox(mounted / "layer"),)))("true")
    finally:
        subprocess.run(["umount", mounted], check=True)

    assert "ext4" in str(caught.value.hint)


@pytest.mark.parametrize("target", ["/", "/proc", "/proc/self/x", "/sys/x", "/dev/null/x"])
def test_a_mount_where_none_can_be_ends_the_build_and_harms_nothing(runs: Runs, target: str) -> None:
    before = sorted(os.listdir(runs.stack.lowers[0]))
    with pytest.raises(BuildFailed):
        runs("true", mounts=(mount("cache", target),))

    assert before == sorted(os.listdir(runs.stack.lowers[0]))
    assert not runs.mounts()


def mount(kind: str, target: str, **fields: object):  # type: ignore[no-untyped-def]
    from dockyard.dockerfile.steps import Mount

    return Mount(kind, target, **fields)  # type: ignore[arg-type]


def sleepers(seconds: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def leftover_cgroups() -> list[Path]:
    """Cgroups of ours whose process is gone; those of other tests at work are not counted."""
    found = [*Path("/sys/fs/cgroup").glob("*/dockyard-build-*"), *Path("/sys/fs/cgroup").glob("dockyard-build-*")]
    return [path for path in found if not psutil.pid_exists(int(path.name.split("-")[2]))]


def until(condition, seconds: float = 20) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
