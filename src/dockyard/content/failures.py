"""What a network's failures mean, as dockyard's errors."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from typing import TYPE_CHECKING

import aiohttp

from dockyard.content.retry import Unreachable
from dockyard.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def failure(*, where: str, first: bool = False) -> Iterator[None]:
    """Raise :class:`Unavailable` for what the network does; ``where`` is the host or what was asked of it.

    ``first`` says that the other side never answered yet: it is then :class:`Unreachable`, and not tried again.
    """
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise explain(error, where, first=first) from error


def explain(error: Exception, where: str, *, first: bool = False) -> Unavailable:
    """Return what a failed connection means, with the remedy where there is one."""
    kind = Unreachable if first else Unavailable
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return Unreachable(
            f"{where}: the registry's certificate is not trusted: {reason}",
            hint="Name its authority with the setting ca-file or in /etc/docker/certs.d, "
            "or the host in insecure-registries.",
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return kind(f"can't reach {where}: the proxy does not answer", hint="See HTTPS_PROXY and NO_PROXY.")
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return kind(f"can't reach {where}: no such host", hint="Is the name right, and the network up?")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return Unreachable(
            f"can't reach {where} over TLS: {_reason(error)}",
            hint="A registry that speaks plain HTTP has to be named in insecure-registries.",
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return kind(f"can't reach {where}: {_reason(error)}", hint="Is the registry running, and the port right?")
    if isinstance(error, TimeoutError):
        return kind(f"{where}: no answer in time")
    if isinstance(error, aiohttp.ClientResponseError):
        return kind(f"{where}: the answer is not HTTP", hint="Is this the registry's port?")
    if isinstance(error, aiohttp.InvalidURL):
        return Unreachable(f"{where}: not a valid URL")
    return Unavailable(f"{where}: the connection was cut: {_reason(error)}")


def _reason(error: Exception) -> str:
    inner = getattr(error, "os_error", error)
    if isinstance(inner, OSError) and inner.errno and not isinstance(inner, ssl.SSLError | socket.gaierror):
        return os.strerror(inner.errno).lower()  # asyncio's own text names the address again and not the reason
    text = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return text.partition("[Errno")[0].strip() or type(inner).__name__
