"""How each instruction changes the ``config`` object of the image. Pure: each function returns a new object.

Source: docker's Dockerfile reference; the OCI image specification, ``config.md``; docker's image specification for
Healthcheck, OnBuild and Shell.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dockyard.dockerfile.durations import nanoseconds
from dockyard.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dockyard.dockerfile.instructions import Command, Healthcheck

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FIELDS: dict[str, type] = {
    "User": str, "ExposedPorts": dict, "Env": list, "Entrypoint": list, "Cmd": list, "Volumes": dict,
    "WorkingDir": str, "Labels": dict, "StopSignal": str, "ArgsEscaped": bool, "Healthcheck": dict, "Shell": list,
}  # fmt: skip
_MOST_ID = 2**31 - 1
_LEAST_DURATION = 1_000_000
_SIGNAL = re.compile(
    r"ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM|TRAP|"
    r"TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ|RTMIN(?:\+(?:[1-9]|1[0-5]))?|RTMAX(?:-(?:[1-9]|1[0-4]))?"
)
_PORT = re.compile(r"(?:(?P<ip>.*):)?(?:(?P<host>[^:]*):)?(?P<port>[^:/]*)(?:/(?P<protocol>[^:]*))?", re.DOTALL)


def inherit(base: Mapping[str, Any] | None, *, windows: bool = False) -> dict[str, Any]:
    """What a stage begins with: its base's config without ONBUILD, and a PATH except on Windows.

    What is no field of an image's config, or not of its type, is left out: bases come from anywhere.
    """
    config: dict[str, Any] = {}
    for name, kind in _FIELDS.items():
        value = (base or {}).get(name)
        if isinstance(value, kind) and value:
            config[name] = _strings(value) if isinstance(value, list) else value
    if "Labels" in config:
        config["Labels"] = {str(key): str(value) for key, value in config["Labels"].items()}
    if not windows and "PATH" not in environment(config):
        config["Env"] = [*config.get("Env", ()), f"PATH={DEFAULT_PATH}"]
    return config


def triggers(base: Mapping[str, Any] | None) -> list[str]:
    """The ONBUILD instructions of a base's config."""
    value = (base or {}).get("OnBuild")
    return _strings(value) if isinstance(value, list) else []


def environment(config: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the image, in order."""
    pairs = (entry.partition("=") for entry in config.get("Env", ()))
    return {name: value for name, _, value in pairs}


def with_env(config: Mapping[str, Any], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """ENV: a variable keeps its place when it gets another value."""
    values = environment(config)
    for name, value in pairs:
        if not name:
            raise Invalid("ENV names can not be blank")
        values[name] = value
    return {**config, "Env": [f"{name}={value}" for name, value in values.items()]}


def with_labels(config: Mapping[str, Any], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """LABEL."""
    labels = dict(pairs)
    if "" in labels:
        raise Invalid("LABEL names can not be blank")
    return {**config, "Labels": {**config.get("Labels", {}), **labels}}


def ports(words: Iterable[str]) -> list[str]:
    """The ports that words of EXPOSE mean, such as ``80/tcp``: one for each of a range."""
    out: list[str] = []
    for word in words:
        found = _PORT.fullmatch(word)
        protocol = ((found and found["protocol"]) or "tcp").lower()
        if not found or not found["port"]:
            raise Invalid(f"no port specified: {word!r}")
        if protocol not in ("tcp", "udp", "sctp"):
            raise Invalid(f"invalid proto: {protocol}")
        # docker takes what is before a colon, as in a published port, and does nothing with it.
        out += [f"{number}/{protocol}" for number in _range(found["port"])]
    return out


def with_ports(config: Mapping[str, Any], exposed: Iterable[str]) -> dict[str, Any]:
    """EXPOSE."""
    return {**config, "ExposedPorts": {**config.get("ExposedPorts", {}), **{port: {} for port in exposed}}}


def with_volumes(config: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """VOLUME."""
    if not all(paths):
        raise Invalid("VOLUME specified can not be an empty string")
    return {**config, "Volumes": {**config.get("Volumes", {}), **{path: {} for path in paths}}}


def with_user(config: Mapping[str, Any], user: str) -> dict[str, Any]:
    """USER. A number that no Linux user can have is refused: some runtimes take it for root."""
    for part in user.split(":", 1):
        if re.fullmatch(r"[+-]?\d.*", part, re.ASCII | re.DOTALL) and not (
            re.fullmatch(r"\d{1,10}", part, re.ASCII) and int(part) <= _MOST_ID
        ):
            raise Invalid(f"USER {user}: {part!r} is neither a name nor a number from 0 to {_MOST_ID}")
    return {**config, "User": user}


def with_stop_signal(config: Mapping[str, Any], signal: str) -> dict[str, Any]:
    """STOPSIGNAL: a name, with SIG before it or not, or a number."""
    name = signal.upper().removeprefix("SIG")
    number = int(signal) if re.fullmatch(r"\d{1,9}", signal, re.ASCII) else 0
    if not number and not _SIGNAL.fullmatch(name):
        raise Invalid(f"invalid signal: {signal}")
    return {**config, "StopSignal": signal}


def shell(config: Mapping[str, Any], *, windows: bool) -> list[str]:
    """What runs a command in shell form."""
    default = ["cmd", "/S", "/C"] if windows else ["/bin/sh", "-c"]
    return list(config.get("Shell") or default)


def words(config: Mapping[str, Any], command: Command, *, windows: bool) -> list[str]:
    """The words of a command: as they are, or the shell's and the text."""
    return [*(shell(config, windows=windows) if command.shell else ()), *command.words]


def with_command(config: Mapping[str, Any], command: Sequence[str]) -> dict[str, Any]:
    """CMD. An empty one takes the base's away."""
    return _set(config, "Cmd", list(command))


def with_entrypoint(config: Mapping[str, Any], command: Sequence[str], *, keep_command: bool) -> dict[str, Any]:
    """ENTRYPOINT: also takes CMD away unless this stage said it (``keep_command``)."""
    return _set(config if keep_command else _set(config, "Cmd", []), "Entrypoint", list(command))


def with_shell(config: Mapping[str, Any], shell_words: Sequence[str]) -> dict[str, Any]:
    """SHELL."""
    return {**config, "Shell": list(shell_words)}


def with_trigger(config: Mapping[str, Any], trigger: str) -> dict[str, Any]:
    """ONBUILD."""
    return {**config, "OnBuild": [*config.get("OnBuild", ()), trigger]}


def healthcheck(instruction: Healthcheck) -> dict[str, Any]:
    """The config's Healthcheck; durations in nanoseconds, and only what was said."""
    command = instruction.command
    if command is None:
        return {"Test": ["NONE"]}
    fields: dict[str, Any] = {"Test": ["CMD-SHELL" if command.shell else "CMD", *command.words]}
    for name, flag, value in (
        ("Interval", "interval", instruction.interval),
        ("Timeout", "timeout", instruction.timeout),
        ("StartPeriod", "start-period", instruction.start_period),
        ("StartInterval", "start-interval", instruction.start_interval),
    ):
        try:
            duration = nanoseconds(value) if value else 0
        except ValueError as error:
            raise Invalid(f"HEALTHCHECK --{flag}: {error}") from None
        if duration and duration < _LEAST_DURATION:
            raise Invalid(f"HEALTHCHECK --{flag} {value} is less than 1ms")
        if duration:
            fields[name] = duration
    retries = instruction.retries
    if retries:
        if not re.fullmatch(r"[+-]?\d{1,10}", retries, re.ASCII) or not -(2**31) <= int(retries) < 2**31:
            raise Invalid(f"HEALTHCHECK --retries {retries!r} is not a number")
        if int(retries) < 0:
            raise Invalid(f"HEALTHCHECK --retries cannot be negative ({int(retries)})")
        if int(retries):
            fields["Retries"] = int(retries)
    return fields


def _set(config: Mapping[str, Any], name: str, value: list[str]) -> dict[str, Any]:
    # ArgsEscaped is about the base's command, which this replaces.
    out = {key: old for key, old in config.items() if key not in (name, "ArgsEscaped")}
    return {**out, name: value} if value else out


def _strings(values: list[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _range(text: str) -> range:
    first, dash, last = text.partition("-")
    numbers = [first, last] if dash else [first]
    if not all(re.fullmatch(r"\d{1,5}", number, re.ASCII) and int(number) < 2**16 for number in numbers):
        raise Invalid(f"invalid containerPort: {text}")
    if int(numbers[-1]) < int(first):
        raise Invalid(f"invalid range specified for port: {text}")
    return range(int(first), int(numbers[-1]) + 1)
