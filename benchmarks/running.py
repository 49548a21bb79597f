"""The servers that are measured: each a process on a free port with a folder of its own, ended by its process id."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCKYARD = Path(sys.executable).with_name("dockyard")
"""The installed command."""

PATIENCE = 60.0
"""Seconds that a server may take to answer."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(home: Path) -> dict[str, str]:
    """An environment with nothing in it of the person who measures but PATH."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_RUNTIME_DIR": str(home),
        "TMPDIR": str(home),
        "OTEL_TRACES_EXPORTER": "none",
    }


class Running:
    """A server that answers. Its folder goes when it ends."""

    command: Sequence[str | Path]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        folder.mkdir(parents=True)
        self.configure()
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command],
                env=environment(folder / "home"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._answers()

    def configure(self) -> None:
        """Write what the server reads and set ``command``."""
        raise NotImplementedError

    def headers(self, repository: str) -> dict[str, str]:
        """What requests to the repository carry to be let in."""
        return {}

    def _answers(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/v2/")
                connection.getresponse().read()
                connection.close()
                return
            time.sleep(0.01)
        self.stop(keep=True)
        sys.exit(f"the server did not start: {self.command}\n{self.log.read_text(errors='replace')[-4000:]}")

    def cpu(self) -> float:
        """Seconds of CPU that the server and its workers have used so far."""
        import psutil

        processes = [psutil.Process(self.process.pid)]
        processes += processes[0].children(recursive=True)
        return sum(times.user + times.system for times in (process.cpu_times() for process in processes))

    def stop(self, *, keep: bool = False) -> None:
        """End it and, unless told to keep it, remove its folder."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Hub(Running):
    """Our registry, open: one worker for each core, request logs and metrics on."""

    def configure(self) -> None:
        """Nothing but the folder, the port, and that it asks nobody who they are."""
        self.command = [DOCKYARD, "serve", "--auth", "none", "--listen", self.host, "--data", self.folder / "data"]


class AccountsHub(Running):
    """Our registry with accounts: every request shows a ticket, and has its rights looked at."""

    def configure(self) -> None:
        """One administrator, made at the start."""
        self.password = secrets.token_urlsafe(16)
        file = self.folder / "password"
        file.write_text(self.password)
        self.command = [DOCKYARD, "serve", "--listen", self.host, "--data", self.folder / "data"]
        self.command += ["--admin", "bench", "--admin-password-file", file]

    def headers(self, repository: str) -> dict[str, str]:
        """A ticket to read and write the repository, as a client gets one for each."""
        scope = {"scope": f"repository:{repository}:pull,push"}
        basic = base64.b64encode(f"bench:{self.password}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"/token?{urlencode(scope)}", headers={"Authorization": f"Basic {basic}"})
        token = json.load(connection.getresponse())["token"]
        connection.close()
        return {"Authorization": f"Bearer {token}"}


class DockerRegistry(Running):
    """Debian's docker-registry, with its access log on, as it comes."""

    def configure(self) -> None:
        """Debian's settings, but for folder, port and login."""
        settings = self.folder / "config.yml"
        settings.write_text(
            "version: 0.1\n"
            "log: {fields: {service: registry}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.folder}/data}}, cache: {{blobdescriptor: inmemory}}}}\n"
            f"http: {{addr: '{self.host}', headers: {{X-Content-Type-Options: [nosniff]}}}}\n"
        )
        self.command = ["docker-registry", "serve", settings]


class Nginx(Running):
    """nginx with sendfile over one folder: what this machine can send at best."""

    def __init__(self, folder: Path, files: Path) -> None:
        self.files = files
        super().__init__(folder)

    def configure(self) -> None:
        """As many workers as cores, no access log."""
        settings = self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        settings.write_text(
            f"daemon off; {user} worker_processes auto; pid {self.folder}/pid; error_log {self.folder}/error.log;\n"
            "events { worker_connections 256; }\n"
            "http { sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000;\n"
            + "".join(f"{name}_temp_path {self.folder}/{name};\n" for name in TEMPORARY)
            + f"server {{ listen {self.host}; root {self.files}; location /v2/ {{ return 200 '{{}}'; }} }} }}\n"
        )
        self.command = ["nginx", "-c", settings, "-p", self.folder, "-e", self.folder / "error.log"]


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
"""Folders that nginx makes whether it needs them or not."""

REGISTRIES: dict[str, type[Running]] = {"dockyard": Hub, "docker-registry": DockerRegistry}
