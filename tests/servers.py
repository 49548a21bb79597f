"""Real servers and clients that tests start: each is a subprocess on a free port with its own folders."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

import canary
import psutil
from canary import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DOCKYARD = Path(sys.executable).with_name("dockyard")
"""The installed script, as a user runs it."""

START = 60.0
"""Seconds that a server may take to answer; generous, as two cores may be busy."""

ADMIN = "boss"
"""The first administrator of the tests' hubs with accounts."""

HTPASSWD = "ada:$2b$05$LeTVBAxJLdkLMIdIGXZu2uD0tKDnMCeWfGrKIXSrgKmIB.MaoU4ZS\n"
"""What `htpasswd -nbB ada` prints for :data:`PASSWORD`."""


def free_port() -> int:
    """A port below the range that outgoing connections take theirs from, so that none of them steals it."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def as_root(*command: str) -> list[str]:
    """The command line that runs ``command`` as root: as it is for root, else through sudo."""
    return [*command] if os.geteuid() == 0 else ["sudo", "-n", *command]


def run(
    *command: str | Path, env: Mapping[str, str] | None = None, timeout: float = 300, input: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program; its output is text. The exit code is for the caller to look at."""
    return subprocess.run(
        [str(part) for part in command],
        env=env,
        timeout=timeout,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
    )


def must(*command: str | Path, env: Mapping[str, str] | None = None, timeout: float = 300) -> str:
    """Run a program that has to succeed; return its stdout."""
    done = run(*command, env=env, timeout=timeout)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


class Server:
    """A subprocess in a process group of its own; what it prints is kept in ``log``."""

    def __init__(self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as stdout, self.log.open("ab") as log:
            for line in stdout:
                log.write(line)
                log.flush()
                self._lines.put(line.decode(errors="replace"))
        self._lines.put(None)

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self, timeout: float = START) -> str:
        """The next line of stdout; fail with the log where the server ends or says nothing."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            line = None
        assert line is not None, f"the server did not start:\n{self.log.read_text(errors='replace')[-8000:]}"
        return line.rstrip("\n")

    def workers(self) -> list[psutil.Process]:
        """The processes under the first one."""
        return psutil.Process(self.pid).children(recursive=True)

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM, and wait; return the exit code."""
        if self.process.poll() is None:
            os.kill(self._main(), signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        finally:
            self.kill()
        return code

    def _main(self) -> int:
        return self.pid

    def kill(self) -> None:
        """SIGKILL to every process of it at once, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(10)


class Hub(Server):
    """Our registry, started as a user starts it. It has answered when this returns.

    With ``auth="accounts"`` it has an administrator, :data:`ADMIN` with ``password``, as unattended installations do.
    When it ends, it must have told nobody a secret: stop and kill raise :class:`canary.Leaked` otherwise.
    """

    admin = ADMIN
    password = f"horse battery {MARKER}"

    def __init__(
        self,
        data: Path,
        *flags: str,
        port: int | None = None,
        workers: int = 2,
        auth: str = "none",
        host: str = "127.0.0.1",
        env: Mapping[str, str] | None = None,
        wrap: Sequence[str | Path] = (),
    ) -> None:
        self.data = data
        self._wrapped = bool(wrap)
        data.parent.mkdir(parents=True, exist_ok=True)
        self.env = plain_environment(data.with_name(data.name + ".home"))
        if auth == "accounts":
            password = data.with_name(data.name + ".password")
            password.write_text(self.password + "\n")
            env = {"DOCKYARD_ADMIN": ADMIN, "DOCKYARD_ADMIN_PASSWORD_FILE": str(password)} | dict(env or {})
        listen = f"{host}:{port or 0}"
        super().__init__(
            [
                *(*wrap, DOCKYARD, "serve", "--listen", listen, "--data", data),
                *("--workers", str(workers), "--auth", auth, *flags),
            ],
            log=data.with_name(data.name + ".log"),
            env=self.env | dict(env or {}),
        )
        try:
            self.url = self.line()
            assert self.url.startswith((f"http://{host}:", f"https://{host}:")), self.url
        except BaseException:
            self.kill()
            raise
        self.host = self.url.partition("://")[2]
        self.port = int(self.host.rpartition(":")[2])

    def user(self, name: str, *, administrator: bool = False) -> str:
        """Make an account, as an administrator does on the machine of the hub; return its password."""
        password = canary.password_of(name)
        more = ["--admin"] if administrator else []
        command = DOCKYARD, "admin", "user", "add", name, *more, "--password-stdin", "--data", self.data
        made = run(*command, env=self.env, input=password)
        assert made.returncode == 0, made.stderr
        return password

    def stop(self, timeout: float = 60) -> int:
        try:
            self.look()
        finally:
            code = super().stop(timeout)
        return code

    def kill(self) -> None:
        super().kill()
        canary.check_log(self.log)
        canary.check_database(self.data / "hub.db")

    def look(self) -> None:
        """Look for secrets in what shows only while it runs: its metrics, and the command lines of its processes."""
        if self.process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in (psutil.Process(self.pid), *self.workers()):
                    canary.check(f"the process {process.pid}", " ".join(process.cmdline()).encode())
            # Some are on another network, or answer nobody any more: that is what their tests are about.
            with contextlib.suppress(OSError, http.client.HTTPException):
                context = ssl._create_unverified_context()
                with urllib.request.urlopen(f"{self.url}/metrics", timeout=5, context=context) as answer:
                    canary.check(f"the metrics of {self.url}", answer.read())

    def _main(self) -> int:
        # strace keeps a SIGTERM to itself.
        return psutil.Process(self.pid).children()[0].pid if self._wrapped else self.pid


class DockerRegistry(Server):
    """Debian's docker-registry; with ``htpasswd`` it asks for user ada and :data:`PASSWORD`."""

    def __init__(self, folder: Path, *, htpasswd: bool = False) -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        env = {
            "PATH": os.environ["PATH"],
            "OTEL_TRACES_EXPORTER": "none",
            "REGISTRY_HTTP_ADDR": self.host,
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(self.data),
            "REGISTRY_STORAGE_DELETE_ENABLED": "true",
            "REGISTRY_VALIDATION_DISABLED": "true",
        }
        if htpasswd:
            (folder / "htpasswd").write_text(HTPASSWD)
            env |= {"REGISTRY_AUTH_HTPASSWD_REALM": "tests", "REGISTRY_AUTH_HTPASSWD_PATH": str(folder / "htpasswd")}
        settings = folder / "config.yml"
        settings.write_text("version: 0.1\nstorage: {filesystem: {rootdirectory: /tmp}}\nhttp: {addr: ':0'}\n")
        # Its log is what tells that it listens; sh gives that the place where a server's first line is looked for.
        super().__init__(
            ["sh", "-c", 'exec docker-registry serve "$0" 2>&1', settings], log=folder / "registry.log", env=env
        )
        while "listening on" not in self.line():
            pass


class Dockerd(Server):
    """Debian's dockerd with its own containerd, folders and socket, and no network of its own. Needs root.

    ``wrap`` is what runs it, such as ``nsenter --net=FILE``; ``env`` is added for daemon and client.
    """

    def __init__(self, folder: Path, *, wrap: Sequence[str] = (), env: Mapping[str, str] = {}) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # A socket's path may have 107 bytes: pytest's folders are longer.
        self.run = Path(must("mktemp", "-d", "/tmp/dockerd.XXXXXX").strip())
        self.socket = f"unix://{self.run}/docker.sock"
        self.env = plain_environment(folder / "home") | {"DOCKER_HOST": self.socket} | dict(env)
        (folder / "daemon.json").write_text(json.dumps({"insecure-registries": ["127.0.0.0/8"]}))
        command = as_root(
            *wrap, "env", *(f"{name}={value}" for name, value in env.items()),
            "dockerd", "--config-file", f"{folder}/daemon.json", "--host", self.socket,
            "--data-root", f"{folder}/data", "--exec-root", f"{self.run}/exec", "--pidfile", f"{self.run}/pid",
            "--iptables=false", "--ip6tables=false", "--bridge=none", "--group", str(os.getegid()),
        )  # fmt: skip
        super().__init__(["sh", "-c", 'exec "$@" 2>&1', "sh", *command], log=folder / "dockerd.log")
        try:
            while "API listen on" not in self.line():
                pass
        except BaseException:
            self.stop()
            raise

    def __call__(
        self, *arguments: str | Path, input: str | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run docker's client against this daemon."""
        return run("docker", *arguments, env=self.env, timeout=timeout, input=input)

    def ok(self, *arguments: str | Path, timeout: float = 300) -> str:
        """Run docker's client; it has to succeed. Return its stdout."""
        return must("docker", *arguments, env=self.env, timeout=timeout)

    def stop(self, timeout: float = 60) -> int:
        if os.geteuid() != 0:
            run(*as_root("kill", str(self.pid)))
        code = super().stop(timeout)
        run(*as_root("rm", "-rf", str(self.run)))
        return code


class Machine:
    """Our command line on a machine of its own: own store, own settings, own logins. Call it like the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.env = plain_environment(folder / "home") | {"DOCKYARD_ROOT": str(self.root)}

    def __call__(
        self, *arguments: str | Path, input: str | None = None, timeout: float = 300, env: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        """Run ``dockyard`` with the arguments; output is text, the exit code is the caller's to check."""
        return run(DOCKYARD, *arguments, env={**self.env, **env}, timeout=timeout, input=input)

    def ok(self, *arguments: str | Path, timeout: float = 300, env: Mapping[str, str] = {}) -> str:
        """Run ``dockyard``; it has to succeed. Return its stdout."""
        return must(DOCKYARD, *arguments, env={**self.env, **env}, timeout=timeout)

    def start(self, *arguments: str | Path, env: Mapping[str, str] = {}) -> subprocess.Popen[str]:
        """Start ``dockyard`` and return at once; stdout and stderr are pipes. Use it in a ``with``."""
        # What started us may ignore SIGINT, and that is inherited; a person's shell does not.
        return subprocess.Popen(
            ["env", "--default-signal=INT", str(DOCKYARD), *map(str, arguments)],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


class Containers:
    """skopeo, podman and buildah with their own storage and settings, plain HTTP allowed for loopback."""

    def __init__(self, folder: Path) -> None:
        settings = folder / "home/.config/containers"
        settings.mkdir(parents=True)
        (folder / "tmp").mkdir()
        # Sockets under the run folder need a short path.
        self.run = Path(must("mktemp", "-d", "/tmp/containers.XXXXXX").strip())
        (settings / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (settings / "registries.conf").write_text('[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n')
        (settings / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/storage"\nrunroot = "{self.run}/run"\n'
            f'rootless_storage_path = "{folder}/storage"\n'
        )
        (settings / "containers.conf").write_text(
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
            f'tmp_dir = "{self.run}/libpod"\n'
        )
        self.env = plain_environment(folder / "home") | {
            "CONTAINERS_CONF": str(settings / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(settings / "registries.conf"),
            "CONTAINERS_STORAGE_CONF": str(settings / "storage.conf"),
            "TMPDIR": str(folder / "tmp"),
            "XDG_RUNTIME_DIR": str(self.run),
            "BUILDAH_ISOLATION": "chroot",
        }
        # podman fails where DOCKER_CONFIG is set and has no file.
        (folder / "home/.docker").mkdir()
        (folder / "home/.docker/config.json").write_text("{}")

    def __call__(self, *command: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run one of them."""
        return run(*command, env=self.env, timeout=timeout)

    def ok(self, *command: str | Path, timeout: float = 300) -> str:
        """Run one of them; it has to succeed. Return its stdout."""
        return must(*command, env=self.env, timeout=timeout)

    def close(self) -> None:
        """Free what is mounted, and the run folder."""
        self("podman", "system", "reset", "--force")
        shutil.rmtree(self.run, ignore_errors=True)


def plain_environment(home: Path) -> dict[str, str]:
    """An environment with nothing of the person who runs the tests in it but PATH."""
    home.mkdir(parents=True, exist_ok=True)
    env = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "DOCKER_CONFIG": str(home / ".docker"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_RUNTIME_DIR": str(home / ".run"),
    }
    (home / ".run").mkdir(mode=0o700, exist_ok=True)
    return env


class Started:
    """Starts servers for one test and ends what is still running afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[Server] = []

    def hub(
        self,
        *flags: str,
        data: Path | None = None,
        port: int | None = None,
        workers: int = 2,
        auth: str = "none",
        host: str = "127.0.0.1",
        env: Mapping[str, str] | None = None,
        wrap: Sequence[str | Path] = (),
    ) -> Hub:
        """A hub with the folder ``data`` (given again: the same hub, started anew)."""
        data = data or self.folder / f"hub{len(self.servers)}"
        hub = Hub(data, *flags, port=port, workers=workers, auth=auth, host=host, env=env, wrap=wrap)
        self.servers.append(hub)
        return hub

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.ExitStack() as ending:
            for server in self.servers:
                ending.callback(server.kill)
                if isinstance(server, Hub):
                    ending.callback(server.look)


def get(url: str, *, method: str = "GET", headers: Mapping[str, str] = {}) -> tuple[int, Mapping[str, str], bytes]:
    """One plain request, answered errors included: status, headers, body."""
    request = urllib.request.Request(url, method=method, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            body = error.read()
        canary.check_answer(error.code, error.headers, body)
        return error.code, error.headers, body


@contextlib.contextmanager
def stopping(server: Server) -> Iterator[Server]:
    """End the server with SIGTERM afterwards, whatever happens."""
    try:
        yield server
    finally:
        server.stop()
