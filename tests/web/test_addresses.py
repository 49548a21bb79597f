"""Where a client is, as proxies tell it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.web.addresses import address_of, client_address, networks

PROXIES = networks(["10.0.0.0/8", "2001:db8::/32"])
strangers = st.ip_addresses().filter(
    lambda one: not any(one in network for network in PROXIES) and getattr(one, "ipv4_mapped", None) is None
)
proxies = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="2001:db8::/32")).map(str)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7,10.1.1.1 , 10.2.2.2", "198.51.100.7"),
        ("10.0.0.1", "10.9.9.9", "10.9.9.9"),
        ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, unknown, 10.3.3.3", "10.3.3.3"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "[2001:db9::1]:4711", "2001:db9::1"),
        ("10.0.0.1", "2001:DB9:0::1", "2001:db9::1"),
        ("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("2001:db8::5", "198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_proxy_of_ours(
    peer: str, forwarded: str | None, client: str
) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


@given(strangers, anything)
def test_what_a_stranger_says_of_itself_is_not_believed(peer: object, said: str) -> None:
    assert client_address(str(peer), said, PROXIES) == client_address(str(peer), None, PROXIES)


@given(anything, strangers, st.lists(proxies, max_size=8), proxies)
def test_what_stands_left_of_the_client_changes_nothing(
    said: str, client: object, between: list[str], peer: str
) -> None:
    assert client_address(peer, ", ".join([said, str(client), *between]), PROXIES) == str(client)


@given(proxies, anything)
def test_whatever_is_said_the_answer_is_one_address_and_stays_what_it_is(peer: str, said: str) -> None:
    client = client_address(peer, said, PROXIES)

    assert client_address(client, None, ()) == client
    assert len(client) <= 45
    assert client_address(client, said, PROXIES) == client


@given(anything, anything)
def test_without_trusted_proxies_the_peer_is_the_client(peer: str, said: str) -> None:
    assert client_address(peer, said, ()) == client_address(peer, None, ())


def test_several_headers_are_one_list() -> None:
    headers = [(b"x-forwarded-for", b"203.0.113.9"), (b"host", b"hub"), (b"x-forwarded-for", b"198.51.100.7")]

    assert address_of({"client": ("10.0.0.1", 1), "headers": headers}, PROXIES) == "198.51.100.7"
    assert address_of({"client": ("10.0.0.1", 1), "headers": headers}, ()) == "10.0.0.1"
    assert address_of({"client": None, "headers": []}, PROXIES) == ""


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        networks(["10.0.0.1/8"])
