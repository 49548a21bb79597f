"""Settings: read once from flags, environment and file, validated, then frozen.

A setting is a field of one of the dataclasses here. Flag wins over environment over file over default. The file is
TOML at ``$XDG_CONFIG_HOME/dockyard/config.toml``; a field ``log_level`` of section ``serve`` is ``log-level`` under
``[serve]`` there and ``DOCKYARD_SERVE_LOG_LEVEL`` in the environment, but for the few of ``_VARIABLES``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dockyard.errors import DockyardError, SettingInvalid
from dockyard.oci.reference import DOCKER_HUB, parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound="ClientSettings | ServeSettings | BuildSettings")

_DURATION = re.compile(r"(\d+)([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(\d+)([kmgt]?)b?", re.ASCII | re.IGNORECASE)
_URL = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d+)?", re.ASCII | re.IGNORECASE)
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What the command line goes by."""

    root: str = _setting("", "folder of the local stores; default $XDG_DATA_HOME/dockyard")
    context: str = _setting("default", "the engine that commands use")
    default_registry: str = _setting(DOCKER_HUB, "the registry that plain names such as team/app belong to")
    insecure_registries: tuple[str, ...] = _setting(
        (), "hosts to speak to over plain HTTP, or HTTPS with any certificate"
    )
    ca_file: str = _setting("", "certificates, in PEM, that registries are checked against besides the system's")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What the hub goes by."""

    listen: str = _setting("127.0.0.1:5000", "address and port")
    data: str = _setting("", "folder of blobs, journal and database; default $XDG_DATA_HOME/dockyard/hub")
    auth: str = _setting("accounts", "who may do what: accounts, or none to let everybody do everything")
    signup: str = _setting("closed", "who may make an account: closed (administrators make them), invite or open")
    create_on_push: bool = _setting(True, "a first push makes the repository")
    url: str = _setting("", "the address that clients and browsers reach the hub at; default the one of listen")
    tls_cert: str = _setting("", "certificate, in PEM with those it hangs on, to serve https with")
    tls_key: str = _setting("", "the private key of tls-cert, in PEM")
    trusted_proxies: tuple[str, ...] = _setting(
        (), "addresses or networks of proxies whose X-Forwarded-For says where a client is"
    )
    insecure_http: bool = _setting(False, "allow passwords over plain http on an address that other machines reach")
    admin: str = _setting("", "user to make, as administrator, at the start where it is not there")
    admin_password_file: str = _setting("", "file with that user's password, its first line")
    workers: int = _setting(0, "processes that answer; 0 means one for each core")
    insecure_open: bool = _setting(False, "allow --auth none on an address that other machines reach")
    sparse: bool = _setting(False, "accept manifests whose layers or children are not here")
    upload_expiry: int = _setting(7 * 86400, "seconds after which an untouched upload is dropped; also 12h, 7d")
    log_level: str = _setting("info", "debug, info, warning or error")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]") or "127.0.0.1", int(port)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What builds go by."""

    default_registry: str = _setting(DOCKER_HUB, "where base images with a plain name, as in FROM alpine, come from")
    cache_size: int = _setting(20 * 10**9, "bytes that the build cache may take; the longest unused goes; also 20GB")


SECTIONS: dict[str, type[ClientSettings] | type[ServeSettings] | type[BuildSettings]] = {
    "": ClientSettings,
    "build": BuildSettings,
    "serve": ServeSettings,
}
"""Section of the file → the dataclass whose fields it holds."""


def config_file(environ: Mapping[str, str]) -> Path:
    """Where the settings file is."""
    return _xdg(environ, "XDG_CONFIG_HOME", ".config") / "dockyard" / "config.toml"


def data_home(environ: Mapping[str, str]) -> Path:
    """The folder that dockyard's data goes under."""
    return _xdg(environ, "XDG_DATA_HOME", ".local/share") / "dockyard"


def load_file(path: Path, *, must_exist: bool = False) -> dict[str, Any]:
    """Read the settings file; ``{}`` where there is none. Raise SettingInvalid on bad TOML and unknown keys."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        if must_exist:
            raise SettingInvalid(f"there is no settings file {path}") from None
        return {}
    except OSError as error:
        raise SettingInvalid(f"can't read {path}: {error.strerror}") from None
    import tomllib  # only where there is a file: it costs the cold start

    try:
        values = tomllib.loads(raw.decode())
    except ValueError as error:
        raise SettingInvalid(f"{path} is not valid TOML: {error}") from None
    for key, _ in flat(values):
        setting(key)
    return values


def flat(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """``{"serve": {"listen": x}}`` as ``[("serve.listen", x)]``."""
    out: list[tuple[str, Any]] = []
    for key, value in values.items():
        out += [(f"{key}.{name}", item) for name, item in value.items()] if isinstance(value, dict) else [(key, value)]
    return out


def setting(key: str) -> tuple[str, str]:
    """Split a key such as ``serve.log-level`` into section and field; raise SettingInvalid for one unknown."""
    section, _, name = key.rpartition(".")
    known = SECTIONS.get(section)
    if known is None or name.replace("-", "_") not in {entry.name for entry in fields(known)} or "_" in name:
        import difflib

        near = difflib.get_close_matches(key, all_keys(), 1)
        raise SettingInvalid(f"there is no setting {key!r}", hint=f"Did you mean {near[0]!r}?" if near else None)
    return section, name.replace("-", "_")


def all_keys() -> list[str]:
    """Every key that the file may have."""
    return [
        f"{section}.{name}" if section else name
        for section, known in SECTIONS.items()
        for name in (entry.name.replace("_", "-") for entry in fields(known))
    ]


# What an unattended installation sets has the short names that images of other servers have taught people.
_VARIABLES = {"serve.admin": "DOCKYARD_ADMIN", "serve.admin-password-file": "DOCKYARD_ADMIN_PASSWORD_FILE"}


def environment_name(key: str) -> str:
    """The environment variable of a key: ``serve.log-level`` is ``DOCKYARD_SERVE_LOG_LEVEL``."""
    return _VARIABLES.get(key) or "DOCKYARD_" + key.upper().replace(".", "_").replace("-", "_")


def resolve(
    kind: type[T], *, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str], file: Mapping[str, Any]
) -> T:
    """Put one section's settings together. ``flags`` has field names, with ``None`` for those not given."""
    section = next(name for name, known in SECTIONS.items() if known is kind)
    table = file.get(section, {}) if section else file
    values: dict[str, Any] = {}
    for entry in fields(kind):
        name = entry.name.replace("_", "-")
        key = f"{section}.{name}" if section else name
        variable = environment_name(key)
        if flags and flags.get(entry.name) is not None:
            values[entry.name] = parse_value(key, flags[entry.name])
        elif environ.get(variable):
            values[entry.name] = parse_value(key, environ[variable], source=variable)
        elif name in table:
            values[entry.name] = parse_value(key, table[name], source="the settings file")
    if kind is ClientSettings and not values.get("root"):
        values["root"] = str(data_home(environ))
    if kind is ServeSettings and not values.get("data"):
        values["data"] = str(data_home(environ) / "hub")
    return kind(**values)


def parse_value(key: str, value: Any, *, source: str = "") -> Any:
    """Check one setting's value, given as text or as TOML has it; raise SettingInvalid."""
    section, name = setting(key)
    default = next(entry.default for entry in fields(SECTIONS[section]) if entry.name == name)
    try:
        parsed = _READERS.get(key, _PARSERS[type(default)])(value)
        if check := _CHECKS.get(key):
            check(parsed)
    except (ValueError, DockyardError) as error:
        where = f" (from {source})" if source else ""
        raise SettingInvalid(f"{key}{where}: {error}") from None
    return parsed


def _parse_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if str(value).lower() not in known:
        raise ValueError(f"{value!r} is neither true nor false")
    return known[str(value).lower()]


def _parse_number(value: Any) -> int:
    if isinstance(value, bool) or not (str(value).isascii() and str(value).isdecimal()):
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def parse_duration(value: Any) -> int:
    """Seconds, written as a number of them or as ``90s``, ``15m``, ``12h`` or ``7d``. ValueError."""
    """Seconds in a text such as ``90``, ``12h`` or ``7d``; raise ValueError, which says what is wrong."""
    match = _DURATION.fullmatch(str(value))
    if isinstance(value, bool) or not match:
        raise ValueError(f"{value!r} is not a number of seconds, or of s, m, h or d such as 12h")
    return int(match[1]) * _SECONDS[match[2]]


def _parse_size(value: Any) -> int:
    match = _SIZE.fullmatch(str(value))
    if isinstance(value, bool) or not match:
        raise ValueError(f"{value!r} is not a number of bytes, or of kB, MB, GB or TB such as 20GB")
    return int(match[1]) * _BYTES[match[2].lower()]


def _parse_text(value: Any) -> str:
    if not isinstance(value, str | Path):
        raise ValueError(f"{value!r} is not text")
    return str(value)


def _parse_list(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"{value!r} is not a list of text")
    return tuple(item.strip() for item in items if item.strip())


def _parse_url(value: Any) -> str:
    """An address without anything behind it: ``https://hub.example:8443``."""
    from urllib.parse import urlsplit

    text = _parse_text(value).strip().rstrip("/")
    if not text:
        return ""
    wrong = ValueError(f"{value!r} is not an address of a hub, such as https://hub.example.com: http or https, no path")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # reading it checks it
    except ValueError:
        raise wrong from None
    if not _URL.fullmatch(text) or "@" in parts.netloc or not parts.hostname:
        raise wrong
    return f"{parts.scheme}://{parts.netloc.lower()}"


_READERS: dict[str, Any] = {
    "serve.upload-expiry": parse_duration,
    "serve.url": _parse_url,
    "build.cache-size": _parse_size,
}
_PARSERS: dict[type, Any] = {bool: _parse_bool, int: _parse_number, str: _parse_text, tuple: _parse_list}


def _check_listen(value: str) -> None:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise ValueError(f"{value!r} is not an address and port, such as 127.0.0.1:5000")


def _check_choice(*choices: str) -> Any:
    def check(value: str) -> None:
        if value not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}")

    return check


def _check_networks(values: tuple[str, ...]) -> None:
    from ipaddress import ip_network

    for value in values:
        try:
            ip_network(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an address or network, such as 10.0.0.1 or 10.0.0.0/8") from None


def _check_registry(value: str) -> None:
    if parse_reference(f"{value}/name").registry != value:
        raise ValueError(f"{value!r} is not a registry's host, such as localhost:5000")


_CHECKS: dict[str, Any] = {
    "serve.listen": _check_listen,
    "serve.auth": _check_choice("accounts", "none"),
    "serve.signup": _check_choice("closed", "invite", "open"),
    "serve.trusted-proxies": _check_networks,
    "serve.log-level": _check_choice("debug", "info", "warning", "error"),
    "default-registry": _check_registry,
    "build.default-registry": _check_registry,
}


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    value = environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path(environ.get("HOME") or Path.home()) / default
