"""Where a client is: its own address, also behind proxies that say whom they speak for."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Network = IPv4Network | IPv6Network

HOPS = 64
"""Entries of X-Forwarded-For that are looked at; more are no chain of proxies."""

LENGTH = 64
"""Characters that an address has at most; what is kept of readings is bounded by it."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read ``serve.trusted-proxies``: addresses and networks. ValueError for what is neither."""
    return tuple(ip_network(text) for text in texts)


def client_address(peer: str, forwarded: str | None, trusted: Sequence[Network]) -> str:
    """The address that a request comes from.

    It is ``peer``, who holds the connection, unless that is a trusted proxy: then it is the rightmost entry of
    ``forwarded``, the value of X-Forwarded-For with several of them joined by commas, that is no trusted proxy itself.
    What stands further left, anybody may have written. Where an entry can't be read, who passed it on counts.
    """
    address = _read(peer)
    if address is None:
        return peer
    for entry in reversed((forwarded or "").rsplit(",", HOPS)[-HOPS:]):
        if not any(address in network for network in trusted):
            break
        before = _read(_without_port(entry.strip())[:LENGTH])
        if before is None:
            break
        address = before
    return str(address)


def address_of(scope: Mapping[str, Any], trusted: Sequence[Network]) -> str:
    """:func:`client_address` of an ASGI scope; ``""`` where the server does not know its peer."""
    peer = scope["client"][0] if scope.get("client") else ""
    if not trusted:
        return client_address(peer, None, ())
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return client_address(peer, b",".join(values).decode("latin-1"), trusted)


@lru_cache(maxsize=4096)
def _read(text: str) -> IPv4Address | IPv6Address | None:
    """An address, in the one form that it is compared and kept in; ``None`` for what is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without the zone, which is the proxy's own
    return address


def _without_port(entry: str) -> str:
    """An entry as some proxies write it: ``192.0.2.1:4711``, ``[2001:db8::1]:4711``."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    host, colon, _ = entry.partition(":")
    return host if colon and ":" not in entry[len(host) + 1 :] else entry
