"""How far a registry's host is trusted: plain HTTP or TLS, which certificates, and through which proxy."""

from __future__ import annotations

import ipaddress
import ssl
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.errors import SettingInvalid
from dockyard.oci.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Iterable

CERTIFICATES = (Path("/etc/docker/certs.d"), Path("/etc/containers/certs.d"))
"""Where docker and podman look for a registry's certificates, in a folder named as its host."""

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


def address(registry: str) -> str:
    """Where a registry answers: its own name, except Docker Hub."""
    return "registry-1.docker.io" if registry == DOCKER_HUB else registry


def host_of(registry: str) -> str:
    """The host without its port and brackets."""
    if registry.startswith("["):
        return registry[1:].partition("]")[0]
    return registry.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone: localhost, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def schemes(registry: str, *, insecure: bool) -> tuple[str, ...]:
    """The URL schemes to try, in order.

    docker takes plain HTTP from loopback without being told. There it is tried first: nobody else can listen in, and
    a registry on loopback seldom has a certificate. Elsewhere plain HTTP comes last, and only when told.
    """
    if is_loopback(host_of(registry)):
        return ("http", "https")
    return ("https", "http") if insecure else ("https",)


def tls_context(
    registry: str,
    *,
    insecure: bool = False,
    ca_file: str | Path | None = None,
    folders: Iterable[Path] = CERTIFICATES,
) -> ssl.SSLContext:
    """The certificates to believe: the system's, ``ca_file``, and what docker's ``certs.d`` has for the host.

    Any certificate is taken where told ``insecure``, and from loopback unless certificates were given for it.
    SettingInvalid where a file can't be read.
    """
    context = ssl.create_default_context()
    authorities = [Path(ca_file)] if ca_file else []
    for folder in folders:
        own = folder / registry
        if own.is_dir():
            authorities += sorted(own.glob("*.crt"))
            for certificate in sorted(own.glob("*.cert")):
                _load(lambda path: context.load_cert_chain(path, path.with_suffix(".key")), certificate)
    for authority in authorities:
        _load(lambda path: context.load_verify_locations(path), authority)
    if insecure or (is_loopback(host_of(registry)) and not authorities):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for a host; never one for loopback."""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(scheme)


def may_carry_credentials(realm_scheme: str, realm_host: str, *, registry_scheme: str, registry_host: str) -> bool:
    """Whether a token service, announced by a registry, may be sent that registry's credentials.

    A service is believed as far as the registry that announces it: over TLS anywhere, as registries keep theirs
    under other names; over plain HTTP only on the host that is spoken to over plain HTTP itself, since there
    anybody on the way could have written the announcement.
    """
    same = realm_host == registry_host or {realm_host, registry_host} <= _THIS_MACHINE
    if realm_scheme == "https":
        return registry_scheme == "https" or same
    return realm_scheme == "http" == registry_scheme and same


def _load(load: object, path: Path) -> None:
    try:
        load(path)  # type: ignore[operator]
    except (OSError, ssl.SSLError) as error:
        raise SettingInvalid(f"can't read the certificates in {path}: {error}") from None
