"""Who builds the cases of the corpus: dockyard, docker without and with BuildKit, and buildah; and what they need."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import os
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from cases import TIME, write
from images import AMD64, GZIP, Layout, docker_archive, gzipped, sha256
from servers import DOCKYARD, must, plain_environment
from trees import Image, differences, oci_layout
from trees import docker_archive as read_archive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cases import Case
    from servers import Containers, Dockerd

HOST = "corpus.test"
"""A registry that is not there: whoever wants to pull a base fails."""
BASE_CONFIGS: dict[str, dict[str, Any]] = {
    "base": {
        "Cmd": ["/bin/sh"], "WorkingDir": "/", "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "WHO=base"],
        "Labels": {"from": "base", "kind": "a"},
    },
    "flat": {"Cmd": ["/bin/sh"], "WorkingDir": "/"},
}  # fmt: skip
BASE_TIME = 1704067200
"""2024-01-01: when everything in a base was changed."""

# What busybox is asked for in the cases.
APPLETS = (
    "ash", "awk", "base64", "basename", "cat", "chgrp", "chmod", "chown", "cmp", "cp", "cut", "date", "dd", "df",
    "diff", "dirname", "du", "echo", "env", "expr", "false", "find", "fold", "grep", "gunzip", "gzip", "head",
    "hexdump", "hostname", "id", "install", "ip", "link", "ln", "ls", "md5sum", "mkdir", "mkfifo", "mknod", "mktemp",
    "mount", "mv", "nc", "nproc", "od", "printf", "ps", "pwd", "readlink", "realpath", "rm", "rmdir", "sed", "seq",
    "sh", "sha256sum", "sleep", "sort", "stat", "stty", "tail", "tar", "tee", "test", "touch", "tr", "true",
    "truncate", "tty", "umount", "uname", "uniq", "wc", "wget", "which", "whoami", "xargs",
)  # fmt: skip
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
app:x:1000:1001:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
GROUP = "root:x:0:\ndaemon:x:1:\nstaff:x:50:app\nwheel:x:70:app,daemon\napp:x:1001:\nnobody:x:65534:\n"
# cap_net_raw+ep, as the kernel keeps it.
CAPABILITY = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"


def make_base(folder: Path, name: str) -> Path:
    """An OCI layout of busybox: ``base`` has ``/bin -> usr/bin`` and a PATH, ``flat`` has a folder and no PATH."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is not on PATH"
    tools = "usr/bin" if name == "base" else "bin"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:

        def add(path: str, data: bytes = b"", *, mode: int = 0, owner: str = "0:0", to: str = "", **more: Any) -> None:
            member = tarfile.TarInfo(path.rstrip("/"))
            kind = tarfile.DIRTYPE if path.endswith("/") else tarfile.SYMTYPE if to else tarfile.REGTYPE
            member.type, member.linkname, member.size = more.get("kind", kind), to, len(data)
            member.mode = mode or {tarfile.DIRTYPE: 0o755, tarfile.SYMTYPE: 0o777}.get(member.type, 0o644)
            member.uid, member.gid = map(int, owner.split(":"))
            member.mtime = BASE_TIME
            member.pax_headers = more.get("pax", {})
            archive.addfile(member, io.BytesIO(data))

        for path in ("bin/", "dev/", "etc/", "home/", "opt/", "proc/", "root/", "run/", "srv/", "sys/", "usr/", "var/"):
            if path != ("bin/" if name == "base" else "run/"):
                add(path, mode=0o700 if path == "root/" else 0o755)
        add("tmp/", mode=0o1777)
        if name == "base":
            add("usr/bin/")
            add("bin", to="usr/bin")
        add(f"{tools}/busybox", Path(busybox).read_bytes(), mode=0o755)
        for applet in APPLETS:
            add(f"{tools}/{applet}", to="busybox")
        add("etc/passwd", PASSWD.encode())
        add("etc/group", GROUP.encode())
        # Builders bind files of their own over these while a RUN runs; some make them where they are not there.
        for path in ("etc/hosts", "etc/resolv.conf", "etc/hostname"):
            add(path)
        add("home/app/", owner="1000:1001", mode=0o750)
        add("opt/tool/")
        add("opt/tool/a", b"a\n")
        add("opt/tool/b", b"b\n", mode=0o4755)
        add("opt/tool/deep/")
        add("opt/tool/deep/c", b"c\n", owner="1000:1001")
        add("opt/tool/hard", to="opt/tool/a", kind=tarfile.LNKTYPE)
        add("opt/tool/capable", b"#!/bin/sh\n", mode=0o755, pax={"SCHILY.xattr.security.capability": CAPABILITY})
        add("opt/link", to="tool")
        add("opt/absolute", to="/srv")
        add("srv/data/")
        add("srv/data/old", b"old\n")
    layout = Layout(folder)
    layer = layout.blob(gzipped(buffer.getvalue()), GZIP)
    layout.name(layout.image([layer], [sha256(buffer.getvalue())], platform=AMD64, config=BASE_CONFIGS[name]))
    return folder


class Refused(Exception):
    """A builder does not take a Dockerfile; the text is what it said."""


class Site:
    """A file server on loopback: ``/files/…`` with fixed dates, and ``/repository.git`` as git serves it."""

    def __init__(self, folder: Path) -> None:
        files = folder / "files"
        write(
            files,
            {
                "hello.txt": "hello from afar\n",
                "tool.tar.gz": {"archive": "gz", "files": {"tool/": {}, "tool/run": {"text": "run\n", "mode": "755"}}},
            },
        )
        self.repository = make_repository(folder)
        handler = functools.partial(Pages, folder=folder)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def make_repository(folder: Path) -> Path:
    """A bare repository with two commits on ``main``, a tag ``v1`` on the first, and a branch ``other``."""
    work, bare = folder / "work", folder / "repository.git"
    env = plain_environment(folder / "home") | {
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "ada@corpus.test" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_DATE": f"{TIME} +0000" for who in ("AUTHOR", "COMMITTER")},
    }

    def git(*arguments: str | Path) -> None:
        must("git", "-C", work, *arguments, env=env)

    write(work, {"README": "one\n", "app/main": {"text": "main\n", "mode": "755"}, "app/link": {"to": "main"}})
    write(work, {"Dockerfile": "FROM scratch\nCOPY README app /\n"})
    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    git("tag", "v1")
    git("branch", "other")
    (work / "README").write_text("two\n")
    git("commit", "--quiet", "-am", "two")
    must("git", "clone", "--quiet", "--bare", work, bare, env=env)
    (bare / "git-daemon-export-ok").touch()
    return bare


class Pages(http.server.SimpleHTTPRequestHandler):
    """Files, and git's own program for what is asked of the repository."""

    def __init__(self, *arguments: Any, folder: Path) -> None:
        self.folder = folder
        super().__init__(*arguments, directory=str(folder))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        if ".git/" in self.path:
            self.git()
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self.git()

    def git(self) -> None:
        """Answer as git-http-backend says (RFC 3875)."""
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "uploadpack.allowAnySHA1InWant",
            "GIT_CONFIG_VALUE_1": "true",
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        answer = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # who only asks whether there is a repository leaves early
            self.wfile.write(content)


class Builder:
    """A program that builds images. Each knows what flags it wants besides docker's."""

    command: Sequence[str | Path]
    more: Sequence[str] = ()

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)

    def build(self, case: Case, work: Path, site: str) -> Image:
        """Build a case in a folder that is not there yet; :class:`Refused` where the builder does not take it."""
        work.mkdir(parents=True)
        context = case.prepare(work, site)
        name = f"{HOST}/case:{case.name}"
        if case.first:
            self.run([*self.command, *self.more, "-t", case.first, "-f", context / "Dockerfile.first", context])
        self.run(*self.arguments(case, context, name, site))
        return self.read(name, work)

    def arguments(
        self, case: Case, context: Path, name: str, site: str
    ) -> tuple[list[str | Path], bytes | None, dict[str, str]]:
        """The command line, what it reads, and what its environment has besides."""

        def said(text: str) -> str:
            return text.replace("{site}", site).replace("{work}", str(context.parent))

        command: list[str | Path] = [*self.command, *self.more, "-t", name]
        for key, value in case.build_args.items():
            command += ["--build-arg", key if value is True else f"{key}={said(str(value))}"]
        if case.target:
            command += ["--target", case.target]
        if case.platform:
            command += ["--platform", case.platform]
        command += [said(flag) for flag in case.flags]
        stdin = (context / "Dockerfile").read_bytes() if case.file == "-" else None
        if case.file:
            # buildah takes the path from where it runs, docker too.
            command += ["-f", "-" if case.file == "-" else context / case.file]
        where: str | Path = context
        if case.where == "tar":
            where, stdin = "-", tar_of(context)
        elif case.where != "folder":
            where = said(case.where)
        return [*command, where], stdin, dict(case.env)

    def run(
        self, command: Sequence[str | Path], stdin: bytes | None = None, env: Mapping[str, str] = {}, timeout: int = 120
    ) -> None:
        """Run it; :class:`Refused` with what it said where it fails."""
        done = subprocess.run(
            [str(part) for part in command],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        if done.returncode:
            raise Refused(f"{' '.join(map(str, command))}\n{done.stdout.decode(errors='replace')}")

    def read(self, name: str, work: Path) -> Image:
        """What was built under a name."""
        raise NotImplementedError


class Docker(Builder):
    """docker's daemon, its first builder or BuildKit. Newer clients want a plugin for BuildKit; Debian's has it."""

    more = ("--network", "none")

    def __init__(self, dockerd: Dockerd, *, buildkit: bool) -> None:
        # The client leaves repositories that it has cloned where temporary files go.
        mode = {"DOCKER_BUILDKIT": str(int(buildkit)), "BUILDKIT_PROGRESS": "plain", "TMPDIR": dockerd.env["HOME"]}
        super().__init__(dockerd.env | mode)
        self.docker = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
        self.command = [self.docker, "build"]

    def read(self, name: str, work: Path) -> Image:
        """As ``docker save`` writes it."""
        must(self.docker, "save", "-o", work / "saved.tar", name, env=self.env)
        return read_archive(work / "saved.tar")


class Buildah(Builder):
    """buildah, whose containers are chroots: no network of their own, no seccomp."""

    command = ("buildah", "bud")
    more = ("--isolation", "chroot", "--format", "docker", "--identity-label=false", "--pull-never")

    def __init__(self, containers: Containers) -> None:
        super().__init__(containers.env)

    def read(self, name: str, work: Path) -> Image:
        """As buildah pushes it to an archive."""
        must("buildah", "push", "--quiet", name, f"docker-archive:{work}/saved.tar:{name}", env=self.env)
        return read_archive(work / "saved.tar")


class Dockyard(Builder):
    """What this is all about."""

    command = (DOCKYARD, "build")
    more = ("--network", "none", "--progress", "plain")

    def __init__(self, root: Path) -> None:
        super().__init__(plain_environment(root / "home") | {"DOCKYARD_ROOT": str(root / "store")})

    def read(self, name: str, work: Path) -> Image:
        """As an OCI layout."""
        must(DOCKYARD, "copy", "--quiet", f"engine:{name}", f"oci:{work}/ours:built", env=self.env)
        return oci_layout(work / "ours")


class Builders:
    """All of them, with the bases loaded, and a site to fetch from."""

    def __init__(self, folder: Path, dockerd: Dockerd, containers: Containers) -> None:
        self.folder = folder
        self.bases = {name: make_base(folder / name, name) for name in BASE_CONFIGS}
        self.images = {name: oci_layout(path) for name, path in self.bases.items()}
        self.images["scratch"] = Image({}, {name: self.images["base"].config[name] for name in ("os", "architecture")})
        self.dockyard = Dockyard(folder / "dockyard")
        for name, layout in self.bases.items():
            reference = f"{HOST}/{name}:latest"
            must(DOCKYARD, "copy", "--quiet", f"oci:{layout}:latest", f"engine:{reference}", env=self.dockyard.env)
            dockerd.ok("load", "-i", docker_archive(layout, folder / f"{name}.tar", reference))
            containers.ok("skopeo", "copy", "--quiet", f"oci:{layout}:latest", f"containers-storage:{reference}")
        self.site = Site(folder / "site")
        self.peers: dict[str, Builder] = {
            "docker": Docker(dockerd, buildkit=False),
            "buildkit": Docker(dockerd, buildkit=True),
            "buildah": Buildah(containers),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.site.__exit__()


def tar_of(folder: Path) -> bytes:
    """A folder as one tar, as ``tar -C folder -c .`` makes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(folder, ".")
    return buffer.getvalue()


def show(image: Image, base: Image) -> str:
    """What an image has besides its base, as text, for messages."""
    lines = [f"{what}  {mine}" for what, mine, _ in differences(image, base)]
    return "\n".join(["built:", *lines])
