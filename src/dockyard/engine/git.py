"""Git repositories as sources of files: fetched by the ``git`` program, without anything of the user's configuration.

A remote may be hostile: no hooks run, no helper programs, no protocols but those asked for, and nothing that begins
with a dash is taken for a name. What is checked out is only read as a tree that can't be left.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockyard.engine.host import find_program, remove_tree
from dockyard.errors import BuildFailed, Invalid

if TYPE_CHECKING:
    from pathlib import Path

_REMOTE = re.compile(r"(?:git|ssh)://.+|https?://[^#]+\.git/?(?:[#?].*)?|[\w.-]+@[\w.-]+:.+", re.DOTALL)
_SCP = re.compile(r"(?:[\w.-]+@)?[\w.-]+:(?!//).+", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEPT = ("PATH", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy",
         "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY", "TMPDIR")  # fmt: skip
_TIMEOUT = 3600.0
_PROTOCOLS = "https:http:ssh:git"


@dataclass(frozen=True, slots=True)
class GitSource:
    """``remote#ref:folder``: where a repository is, which commit of it (the default branch's), and what in it."""

    remote: str
    ref: str = ""
    folder: str = ""


def is_git(text: str) -> bool:
    """Whether a source is a git repository: ``git@…:…``, ``git://``, ``ssh://``, or a URL that ends with ``.git``."""
    return bool(_REMOTE.fullmatch(text))


def parse_git(text: str) -> GitSource:
    """Read ``remote#ref:folder``. Invalid."""
    remote, _, fragment = text.partition("#")
    ref, _, folder = fragment.partition(":")
    for what, value in (("remote", remote), ("ref", ref)):
        if value.startswith("-") or any(char.isspace() or char < " " for char in value):
            raise Invalid(f"invalid git {what} {value[:200]!r}")
    if re.fullmatch(r"https?://[^/]*:[^/]*@.*", remote):
        raise Invalid("a git URL with a password in it is not fetched", hint="It would stay in the image's history.")
    if ".." in ref or ref.endswith((".lock", "/")) or re.search(r"[~^:?*\[\\]|@\{", ref):
        raise Invalid(f"invalid git ref {ref[:200]!r}")
    return GitSource(remote, ref, folder)


class Git:
    """Runs git in folders below ``work``. ``protocols`` are those that may be spoken, as ``GIT_ALLOW_PROTOCOL``."""

    def __init__(self, work: Path, *, protocols: str = _PROTOCOLS) -> None:
        self._work, self._protocols = work, protocols
        self._program = find_program("git")

    def commit(self, source: GitSource) -> str:
        """The commit that a source means now, by asking the remote. BuildFailed."""
        if _COMMIT.fullmatch(source.ref):
            return source.ref
        if not source.ref:
            names = ["HEAD"]
        elif source.ref.startswith("refs/"):
            names = [source.ref, f"{source.ref}^{{}}"]
        else:
            names = [f"refs/tags/{source.ref}^{{}}", f"refs/tags/{source.ref}", f"refs/heads/{source.ref}"]
        lines = self._run("ls-remote", "--", source.remote, *names, remote=source.remote).splitlines()
        found = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
        for name in (f"{source.ref}^{{}}", *names) if source.ref.startswith("refs/") else names:
            if _COMMIT.fullmatch(found.get(name, "")):
                return found[name]
        raise BuildFailed(f"repository {_shown(source.remote)} does not contain ref {source.ref or 'HEAD'}")

    def checkout(self, source: GitSource, commit: str, *, keep_git_dir: bool = False) -> tuple[Path, int]:
        """Fetch a commit and lay its files out in a new folder; return that, and the commit's time in seconds.

        BuildFailed.
        """
        folder = self._work / f"git-{os.urandom(8).hex()}"
        folder.mkdir(mode=0o700, parents=True)
        self._run("init", "--quiet", "--template=", "--initial-branch=main", str(folder))
        at = ("-C", str(folder))
        self._run(*at, "remote", "add", "--", "origin", source.remote)
        try:
            self._run(
                *at, "fetch", "--quiet", "--no-tags", "--depth=1", "--no-recurse-submodules", "origin", commit,
                remote=source.remote,
            )  # fmt: skip
        except BuildFailed:
            # A server may refuse to serve a commit by its number: then all branches and tags are fetched.
            self._run(
                *at, "fetch", "--quiet", "--tags", "--no-recurse-submodules", "origin", "+refs/heads/*:refs/remotes/*",
                remote=source.remote,
            )  # fmt: skip
        self._run(*at, "checkout", "--quiet", "--force", "--detach", commit)
        if (folder / ".gitmodules").is_file():
            self._run(*at, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", remote=source.remote)
        time = int(self._run(*at, "show", "--no-patch", "--format=%ct", commit).strip() or "0")
        if not keep_git_dir:
            remove_tree(folder / ".git")
        return folder, time

    def _run(self, *words: str, remote: str = "") -> str:
        home = self._work / "home"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        over_ssh = remote.startswith("ssh://") or bool(_SCP.fullmatch(remote))
        environment |= {
            # ssh looks for known hosts at home; over HTTP a .netrc there would send passwords.
            "HOME": os.environ.get("HOME", str(home)) if over_ssh else str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oPermitLocalCommand=no",
            "GIT_ALLOW_PROTOCOL": self._protocols,
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LC_ALL": "C",
        }
        settings = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never",
                    "credential.helper=", "core.symlinks=true", "core.autocrlf=false", "gc.auto=0",
                    "advice.detachedHead=false", "safe.directory=*")  # fmt: skip
        command = [self._program, *(word for setting in settings for word in ("-c", setting)), *words]
        try:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False,
                cwd=self._work, umask=0o022,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise BuildFailed(f"git did not end in {_TIMEOUT:.0f} seconds") from None
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()
            said = _shown(last[-1]) if last else f"exit code {done.returncode}"
            raise BuildFailed(f"git could not fetch {_shown(remote) or 'the repository'}: {said}")
        return done.stdout.decode(errors="replace")


def _shown(text: str) -> str:
    """The text without what may be a password in a URL, and without what drives terminals."""
    return re.sub(r"://[^/@\s]*@", "://", "".join(char for char in text if char.isprintable()))
