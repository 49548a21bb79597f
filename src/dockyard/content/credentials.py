"""Logins as docker keeps them: ``config.json`` and credential helpers.

Source: docker's command line reference, "docker login", sections on credential stores and helpers, for the file, and
the credential helpers' protocol: one verb in argv, the rest on stdin, answers on stdout.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dockyard.errors import DockyardError, Invalid, Unavailable
from dockyard.oci.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HUB_KEY = "https://index.docker.io/v1/"
"""What docker calls Docker Hub in ``config.json``, since its first version."""

HELPER_TIMEOUT = 120.0
"""Seconds that a credential helper may take; it may ask a person for a passphrase."""

_IDENTITY = "<token>"  # the user name under which helpers keep an identity token
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_NOT_FOUND = "credentials not found"


@dataclass(frozen=True, slots=True)
class Login:
    """Who somebody is at one registry: a password, or the identity token that a login was traded for."""

    username: str
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


class Credentials(Protocol):
    """Where logins come from."""

    def get(self, registry: str) -> Login | None:
        """Return the login for a registry's host, or ``None``: anonymous. May wait for another program."""
        ...


@dataclass(frozen=True, slots=True)
class FixedLogin:
    """One login for whatever registry is asked for; ``None`` stays anonymous."""

    login: Login | None = None

    def get(self, registry: str) -> Login | None:
        """Return the login."""
        return self.login


class DockerConfig:
    """docker's ``config.json``, read at each call: logins last until somebody logs out, here or with docker."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def default(cls, environ: Mapping[str, str]) -> DockerConfig:
        """The file docker uses: in ``DOCKER_CONFIG`` where that is set, else in ``~/.docker``."""
        folder = environ.get("DOCKER_CONFIG")
        home = environ.get("HOME") or str(Path.home())
        return cls((Path(folder) if folder else Path(home, ".docker")) / "config.json")

    def get(self, registry: str) -> Login | None:
        """Return the login for ``registry``, from its helper where one is named, else from the file."""
        fields = self._read()
        if helper := _helper(fields, registry):
            for key in _keys(registry):
                if login := _ask_helper(helper, key):
                    return login
        auths = _table(fields, "auths")
        for key in _keys(registry):
            if login := _parse_entry(auths.get(key)):
                return login
        for key, entry in auths.items():
            if _host(key) == _host(_keys(registry)[0]) and (login := _parse_entry(entry)):
                return login
        return None

    def registries(self) -> dict[str, str]:
        """Registry → user name of every login that the file and the default helper hold."""
        fields = self._read()
        found: dict[str, str] = {}
        if store := _text(fields, "credsStore"):
            found |= {_host(key): user for key, user in _list_helper(store).items()}
        for registry, helper in _table(fields, "credHelpers").items():
            if isinstance(helper, str) and (login := _ask_helper(helper, _keys(registry)[0])):
                found[_host(registry)] = login.username
        for key, entry in _table(fields, "auths").items():
            if login := _parse_entry(entry):
                found[_host(key)] = login.username
        return found

    def store(self, registry: str, login: Login) -> str | None:
        """Keep a login as ``docker login`` does; return the helper's name, ``None`` where the file holds it."""
        key = _keys(registry)[0]
        with self._changing() as fields:
            helper = _helper(fields, registry)
            entry: dict[str, str] = {}
            if helper:
                secret = login.identity_token or login.password
                name = _IDENTITY if login.identity_token else login.username
                _run_helper(helper, "store", json.dumps({"ServerURL": key, "Username": name, "Secret": secret}))
            else:
                pair = f"{login.username}:{'' if login.identity_token else login.password}"
                entry["auth"] = base64.b64encode(pair.encode()).decode()
                if login.identity_token:
                    entry["identitytoken"] = login.identity_token
            fields.setdefault("auths", {})[key] = entry
        return helper

    def erase(self, registry: str) -> bool:
        """Forget a login as ``docker logout`` does; return whether there was one."""
        if not self.path.exists():
            return False
        with self._changing() as fields:
            helper = _helper(fields, registry)
            found = False
            for key in _keys(registry):
                if helper and _ask_helper(helper, key):
                    _run_helper(helper, "erase", key)
                    found = True
            auths = _table(fields, "auths")
            host = _host(_keys(registry)[0])
            for key in [key for key in auths if key in _keys(registry) or _host(key) == host]:
                found = bool(auths.pop(key)) or found
        return found

    def _read(self) -> dict[str, Any]:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Invalid(f"can't read {self.path}: {error.strerror}") from None
        try:
            fields = json.loads(raw or b"{}")
        except ValueError as error:
            raise Invalid(f"{self.path} is not valid JSON: {error}") from None
        if not isinstance(fields, dict):
            raise Invalid(f"{self.path} is not a JSON object")
        return fields

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """Read the file, let the caller change it, and put it back whole; one process at a time."""
        path = self.path.resolve()  # a link to the real file stays a link
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            fields = self._read()
            before = json.dumps(fields)
            yield fields
            if json.dumps(fields) == before and path.exists():
                return
            # mkstemp makes the file for its owner only, as secrets need.
            handle, beside = tempfile.mkstemp(prefix=".config.json.", dir=path.parent)
            try:
                with open(handle, "w") as file:
                    json.dump(fields, file, indent="\t", ensure_ascii=False)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, path)
            except BaseException:
                os.unlink(beside)
                raise
            os.fsync(folder)
        finally:
            os.close(folder)


def _keys(registry: str) -> list[str]:
    """The names one registry goes by in the file, docker's own first."""
    if registry in {DOCKER_HUB, "index.docker.io", "registry-1.docker.io", HUB_KEY}:
        return [HUB_KEY, "index.docker.io", DOCKER_HUB, "registry-1.docker.io"]
    return [registry, f"https://{registry}", f"http://{registry}"]


def _host(key: str) -> str:
    """The host in a key that may be a URL, as older clients wrote them."""
    host = key.split("://", 1)[-1].split("/", 1)[0]
    return DOCKER_HUB if host in {"index.docker.io", "registry-1.docker.io"} else host


def _helper(fields: dict[str, Any], registry: str) -> str | None:
    helpers = _table(fields, "credHelpers")
    for key in [*_keys(registry), _host(registry)]:
        if isinstance(name := helpers.get(key), str) and name:
            return name
    return _text(fields, "credsStore") or None


def _parse_entry(entry: object) -> Login | None:
    if not isinstance(entry, dict):
        return None
    username, password = _text(entry, "username"), _text(entry, "password")
    token = _text(entry, "identitytoken")
    if encoded := _text(entry, "auth"):
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
            password = password.rstrip("\0")
    if not token and not (username and password):
        return None
    return Login(username, "" if token else password, token)


def _ask_helper(name: str, key: str) -> Login | None:
    try:
        answer = _run_helper(name, "get", key)
    except _HelperFailed as failure:
        if _NOT_FOUND in failure.answer:
            return None
        raise
    try:
        fields = json.loads(answer)
        username, secret = fields["Username"], fields["Secret"]
    except (ValueError, KeyError, TypeError):
        raise Unavailable(f"docker-credential-{name} get: the answer is not a login") from None
    if not secret:
        return None
    return Login(username, identity_token=secret) if username == _IDENTITY else Login(username, secret)


def _list_helper(name: str) -> dict[str, str]:
    try:
        fields = json.loads(_run_helper(name, "list", ""))
    except ValueError:
        raise Unavailable(f"docker-credential-{name} list: the answer is not JSON") from None
    return {key: str(user) for key, user in fields.items()} if isinstance(fields, dict) else {}


class _HelperFailed(DockyardError):
    """A helper ended with an error. ``answer`` is what it said; it may quote secrets, so only known text is shown."""

    def __init__(self, message: str, answer: str) -> None:
        super().__init__(message)
        self.answer = answer


def _run_helper(name: str, verb: str, said: str) -> str:
    program = f"docker-credential-{name}"
    if not _HELPER_NAME.fullmatch(name):
        raise Invalid(f"{name!r} in docker's config.json is not the name of a credential helper")
    try:
        done = subprocess.run(
            [program, verb], input=said, capture_output=True, text=True, timeout=HELPER_TIMEOUT, check=False
        )
    except FileNotFoundError:
        raise Unavailable(
            f"{program} is not installed", hint="docker's config.json names it under credHelpers or credsStore."
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{program} {verb} did not answer: {type(error).__name__}") from None
    if done.returncode:
        answer = done.stdout + done.stderr
        raise _HelperFailed(f"{program} {verb} failed with exit code {done.returncode}", answer)
    return done.stdout


def _table(fields: dict[str, Any], key: str) -> dict[str, Any]:
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""
