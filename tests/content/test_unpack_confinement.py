"""The process that unpacks a layer: what it can see, may do and opens, as root and in a user namespace."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from content.layer_tars import file, folder, header, layer, opaque, pax, symlink, tree, whiteout
from servers import must, run

from dockyard.content.unpack import apply_layer
from dockyard.errors import Unavailable

pytestmark = pytest.mark.slow

APPLY = """
import json, sys
from pathlib import Path
from dockyard.content.unpack import apply_layer
from dockyard.errors import DockyardError
try:
    done = apply_layer(Path(sys.argv[1]), Path(sys.argv[2]), whiteouts="overlay")
    print(json.dumps([done.entries, done.notices]))
except DockyardError as error:
    print(json.dumps([type(error).__name__, error.message, error.hint]))
"""
IN_NAMESPACE = ("unshare", "--user", "--map-root-user")
KEPT = {"chown", "dac_override", "fowner", "fsetid", "sys_admin", "mknod", "setfcap"}
NUMBERS = {0: "chown", 1: "dac_override", 3: "fowner", 4: "fsetid", 21: "sys_admin", 27: "mknod", 31: "setfcap"}


def prepared(tmp_path: Path, content: bytes) -> tuple[str, ...]:
    """The command that unpacks a layer."""
    (tmp_path / "blob").write_bytes(content)
    (tmp_path / "fs").mkdir()
    return sys.executable, "-c", APPLY, str(tmp_path / "blob"), str(tmp_path / "fs")


def until(found: object, seconds: float = 20) -> object:
    """What ``found`` returns once that is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := found():  # type: ignore[operator]
            return answer
        time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.mark.slow
def test_it_is_shut_in_has_few_rights_and_ends_with_its_parent(tmp_path: Path) -> None:
    command = prepared(tmp_path, layer(*(file(f"f{number}", "x" * 900) for number in range(100_000))))
    process = subprocess.Popen(command, env={**os.environ, "SECRET": "canary"}, stdout=subprocess.DEVNULL)
    try:
        until(lambda: any((tmp_path / "fs").iterdir()))
        (child,) = psutil.Process(process.pid).children()
        os.kill(child.pid, signal.SIGSTOP)
        proc = Path(f"/proc/{child.pid}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
        threads = [
            dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
            for task in (proc / "task").iterdir()
        ]
        descriptors = {descriptor.name: os.readlink(descriptor) for descriptor in (proc / "fd").iterdir()}
        environment = (proc / "environ").read_text()
        root, here = os.readlink(proc / "root"), os.readlink(proc / "cwd")
    finally:
        process.kill()
        process.wait()
    until(lambda: not psutil.pid_exists(child.pid) or child.status() == psutil.STATUS_ZOMBIE)

    assert root == here == str(tmp_path / "fs")
    for thread in threads:
        effective = int(thread["CapEff"], 16)
        assert {NUMBERS.get(bit, str(bit)) for bit in range(64) if effective >> bit & 1} == KEPT
        assert (thread["NoNewPrivs"], thread["CapInh"], thread["CapAmb"]) == ("1", "0" * 16, "0" * 16)
    assert status["Umask"] == "0000"
    assert set(descriptors.values()) <= {
        "/dev/null", str(tmp_path / "blob"), *(value for value in descriptors.values() if value.startswith("pipe:")),
        *(value for value in descriptors.values() if value.startswith(f"{tmp_path}/fs/f")),
    }  # fmt: skip
    assert "canary" not in environment


@pytest.mark.slow
def test_nothing_in_a_layer_is_ever_read_by_it(tmp_path: Path) -> None:
    """Libraries, modules, settings of a layer: a process that looked at them could be led, or held up for ever."""
    python = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    baits = [
        *(header(name, b"6") for name in (
            "sys/devices/system/cpu/online", "proc/self/status", "etc/ld.so.cache", "etc/ld.so.preload",
            "etc/nsswitch.conf", "etc/localtime", "lib/x86_64-linux-gnu/libgcc_s.so.1", "dev/null", "dev/urandom",
            "usr/lib/x86_64-linux-gnu/libnss_files.so.2", "usr/lib/locale/locale-archive", "etc/ssl/openssl.cnf",
            "proc/sys/vm/overcommit_memory",
        )),
        *(header(f"{place.lstrip('/')}/{module}", b"6")
          for place in (f"usr/{python}", sys.prefix + f"/{python}", sys.prefix + f"/{python}/site-packages")
          for module in ("idna.py", "linecache.py", "traceback.py", "_strptime.py", "encodings/idna.py")),
        file("usr/bin/python3", "#!", mode=0o4755),
    ]  # fmt: skip
    odd = [file("f", "x", mtime=-5), pax({"path": "caf\udce9"}) + header("x"), file("g", "x", xattrs={"no.such": b"x"})]
    for content in (layer(*baits, *odd, folder("d"), file("d", "x"), whiteout("w")), layer(*baits, file("../x"))):
        command = prepared(tmp_path, content)
        trace = tmp_path / "trace"
        must("strace", "-f", "-qq", "-o", str(trace), "-e", "trace=file,openat2", "-s", "4000", *command)
        pid = re.search(r"^(\d+)\s+chroot\(", trace.read_text(), re.MULTILINE)
        assert pid is not None
        after = trace.read_text().split("chroot(", 1)[1]
        opened = re.findall(r"open(?:at|at2)?\((?:AT_FDCWD, )?\"([^\"]*)\", ([A-Z_|]+)", after)
        opened += re.findall(r"(execve|readlink)\(\"([^\"]*)\"", after)

        assert opened or b"../x" in content
        for name, flags in opened:
            # Files are only made; folders are only listed, to be removed or to see whether there is anything.
            assert (
                ("O_CREAT" in flags and "O_EXCL" in flags) or "O_DIRECTORY" in flags or name.startswith(str(tmp_path))
            ), name
        must("rm", "-rf", str(tmp_path / "fs"))


def test_once_it_is_shut_in_it_imports_nothing_and_reaches_nothing(tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("raise SystemExit('ran what a layer holds')")
    script = """
        import ctypes, os, sys
        from dockyard.content.confinement import confine
        before = os.open("/etc", os.O_RDONLY)
        os.close(before)
        confine(os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY), trusted=False)
        libc = ctypes.CDLL(None, use_errno=True)
        tries = {
            "import": lambda: __import__("colorsys"),
            "read": lambda: os.listdir("/etc"),
            "climb": lambda: os.listdir("/.." * 9 + "/etc"),
            "chroot": lambda: os.chroot("/"),
            "kill": lambda: os.kill(os.getppid(), 0),
            "setuid": lambda: os.setuid(7),
            "trusted": lambda: os.setxattr("/", "trusted.x", b"y"),
            "mount": lambda: [1 / 0 for _ in [0] if libc.mount(b"/", b"/", None, 4096, None)],
            "unshare": lambda: [1 / 0 for _ in [0] if libc.unshare(0x10000000 | 0x20000)],
        }
        failed = []
        for name, act in tries.items():
            try:
                act()
            except BaseException:
                failed.append(name)
        os.write(1, " ".join(failed).encode())
        os._exit(0)
    """
    done = run(sys.executable, "-c", textwrap.dedent(script), tmp_path)

    # It may still see that its parent is there and make itself less; a new user namespace gives nothing in a chroot.
    assert set(done.stdout.split()) >= {"import", "read", "climb", "chroot", "setuid", "trusted", "mount", "unshare"}, (
        done
    )


@pytest.mark.parametrize("lost", ["sys_chroot", "all"])
def test_who_may_not_shut_it_in_is_told_what_to_do(tmp_path: Path, lost: str) -> None:
    command = prepared(tmp_path, layer(file("f", "x")))
    told = json.loads(must("setpriv", f"--bounding-set=-{lost}", f"--inh-caps=-{lost}", *command))

    assert told[0] == "Denied" and "user namespace" in told[2]
    assert tree(tmp_path / "fs") == []


def test_in_a_user_namespace_whiteouts_are_as_overlayfs_reads_them_there(tmp_path: Path) -> None:
    parts = [whiteout("gone"), opaque("d"), file("d/f", "x", mode=0o4755), header("null", b"3", device=(1, 3)),
             header("pipe", b"6"), symlink("l", "/x")]  # fmt: skip
    entries, notices = json.loads(must(*IN_NAMESPACE, *prepared(tmp_path, layer(*parts))))

    assert tree(tmp_path / "fs") == [
        "folder 755 0:0 d opaque", "file 4755 0:0 d/f x", "whiteout gone", "link 777 0:0 l -> /x", "pipe 644 0:0 pipe",
    ]  # fmt: skip
    assert os.listxattr(tmp_path / "fs/d") == ["user.overlay.opaque"]
    assert entries == 7 and notices == ["'null' is skipped: this user may not make devices"]


def test_an_owner_that_a_user_namespace_lacks_is_told(tmp_path: Path) -> None:
    told = json.loads(must(*IN_NAMESPACE, *prepared(tmp_path, layer(file("f", "x", uid=1000)))))

    assert told[0] == "Denied" and "'f'" in told[1] and "/etc/subuid" in told[2]


@pytest.mark.slow
def test_in_a_user_namespace_it_is_shut_in_too(tmp_path: Path) -> None:
    command = prepared(tmp_path, layer(*(file(f"f{number}", "x") for number in range(50_000))))
    process = subprocess.Popen([*IN_NAMESPACE, *command], stdout=subprocess.DEVNULL)
    try:
        until(lambda: any((tmp_path / "fs").iterdir()))
        (child,) = [each for each in psutil.Process(process.pid).children(recursive=True) if "-I" in each.cmdline()]
        root = os.readlink(f"/proc/{child.pid}/root")
        effective = int(re.findall(r"CapEff:\t(\w+)", Path(f"/proc/{child.pid}/status").read_text())[0], 16)
    finally:
        for each in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                each.kill()
        process.kill()
        process.wait()

    assert root == str(tmp_path / "fs")
    assert {NUMBERS.get(bit, str(bit)) for bit in range(64) if effective >> bit & 1} == KEPT - {"sys_admin"}


def test_a_process_that_is_killed_is_told_of(tmp_path: Path) -> None:
    prepared(tmp_path, layer(*(file(f"f{number}", "x") for number in range(20_000))))

    def kill() -> None:
        child = until(lambda: [each for each in psutil.Process().children() if "-I" in each.cmdline()])
        child[0].kill()  # type: ignore[index]

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(Unavailable, match=r"ended early \(-9\)"):
        apply_layer(tmp_path / "blob", tmp_path / "fs", whiteouts="overlay", sync=False)
    thread.join()
