"""The small parts of pages."""

from __future__ import annotations

import base64
import datetime as dt
import xml.etree.ElementTree as ElementTree
from urllib.parse import unquote

import pytest

from dockyard.web.pages.rendering import browser_of, qr_uri, short_time


def test_a_time_is_said_in_utc() -> None:
    there = dt.datetime(2026, 11, 28, 16, 10, 59, tzinfo=dt.timezone(dt.timedelta(hours=1)))

    assert short_time(there) == '<time datetime="2026-11-28T15:10:59Z">2026-11-28 15:10 UTC</time>'


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
         "Chrome on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
         "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1",
         "Safari on iPhone"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "unknown"),
    ],
)  # fmt: skip
def test_a_browser_is_called_as_people_call_it(agent: str, name: str) -> None:
    assert browser_of(agent) == name


def test_a_qr_code_is_an_image_of_its_own_without_script() -> None:
    uri = qr_uri("otpauth://totp/hub:ada?secret=JBSWY3DPEHPK3PXP&issuer=hub")
    head, _, data = uri.partition(",")
    image = base64.b64decode(data).decode() if head.endswith("base64") else unquote(data)

    assert head.startswith("data:image/svg+xml")
    assert {node.tag.rpartition("}")[2] for node in ElementTree.fromstring(image).iter()} <= {"svg", "path", "g"}
