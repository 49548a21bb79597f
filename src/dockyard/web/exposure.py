"""What a hub refuses to be started as: ways to serve it that would show passwords or images to others by accident."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dockyard.errors import SettingInvalid

if TYPE_CHECKING:
    from dockyard.config import ServeSettings

_ANY = ("0.0.0.0", "::")  # noqa: S104  # what they mean is what is looked for


def check_exposure(settings: ServeSettings) -> None:
    """Raise SettingInvalid for settings that others could misuse, unless they say that this is meant. Pure."""
    host, port = settings.address
    if settings.auth == "none":
        if not settings.insecure_open and not is_loopback(host):
            raise SettingInvalid(
                f"with --auth none everybody who reaches {host} could push and delete",
                hint="Listen on 127.0.0.1, or say --insecure-open if that is meant.",
            )
        return
    if not settings.insecure_http:
        _check_passwords(settings, host)
    if host in _ANY and not settings.url:
        scheme = "https" if settings.tls_cert else "http"
        raise SettingInvalid(
            f"with --listen {settings.listen} the hub can't know the address that clients reach it at",
            hint=f"Say it, as in --url {scheme}://hub.example.com{f':{port}' if port not in (80, 443) else ''}",
        )


def _check_passwords(settings: ServeSettings, host: str) -> None:
    """Passwords travel only under TLS, which the hub itself or a proxy in front of it ends."""
    behind = bool(settings.trusted_proxies)
    ended = settings.tls_cert or (behind and settings.url.startswith("https://"))
    meant = "or say --insecure-http if that is meant."
    if not is_loopback(host) and not ended:
        raise SettingInvalid(
            f"passwords would travel to {host} over plain http",
            hint="Give --tls-cert and --tls-key, or listen on 127.0.0.1, or, behind a proxy that ends TLS, give\n"
            f"--url https://HOST and --trusted-proxies ADDRESS, {meant}",
        )
    if behind and not ended:
        raise SettingInvalid(
            "passwords would travel to the proxies of --trusted-proxies over plain http",
            hint=f"Give the https address that clients reach the hub at, as in --url https://hub.example.com, {meant}",
        )
    if settings.url.startswith("http://") and not is_loopback(urlsplit(settings.url).hostname or ""):
        raise SettingInvalid(
            f"with --url {settings.url} passwords would travel over plain http", hint=f"Give an https address, {meant}"
        )


def warning(settings: ServeSettings) -> str | None:
    """What an operator should know of settings that are taken. Pure."""
    behind = settings.auth == "accounts" and settings.url.startswith("https://") and not settings.tls_cert
    if not behind or settings.trusted_proxies:
        return None
    return (
        "something in front of this hub has to speak https. Name it with --trusted-proxies ADDRESS: without, all "
        "clients have its address, and failed logins of one count against all"
    )


def check_certificate(settings: ServeSettings) -> None:
    """Raise SettingInvalid where certificate and key can't be read or don't fit each other. Reads both files."""
    cert, key = settings.tls_cert, settings.tls_key
    if not cert and not key:
        return
    if not cert or not key:
        given, missing = ("--tls-cert", "--tls-key") if cert else ("--tls-key", "--tls-cert")
        raise SettingInvalid(f"{given} is of no use without {missing}")
    for name, path in ("certificate", cert), ("key", key):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise SettingInvalid(f"can't read the {name} {path}: {(error.strerror or str(error)).lower()}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_no_password)
    except _Locked:
        raise SettingInvalid(
            f"the key {key} has a password", hint=f"Take it off: openssl pkey -in {key} -out key.pem"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SettingInvalid(f"the key {key} is not the one of the certificate {cert}") from None
        raise SettingInvalid(f"{cert} and {key} are not a certificate and its key in PEM") from None


class _Locked(Exception):
    """The key asks for a password, which nobody is there to give."""


def _no_password() -> str:
    raise _Locked


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
