"""Pages out of templates, and the headers that each of them has.

Everything that a template puts into a page is escaped. A page loads nothing but this hub's style, and runs nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
import segno
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

# In this order: most browsers also name those that they are like.
_BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}

STATIC_TYPES = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
"""What is served from ``static``, and as what."""

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Browsers ignore these over plain http, the first one with a complaint.
_HTTPS_HEADERS = {"Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000"}


def security_headers(*, https: bool, referrer: bool = True) -> dict[str, str]:
    """The headers of a page. Without ``referrer`` its address, which may hold a code, goes nowhere."""
    policy = {"Referrer-Policy": "same-origin" if referrer else "no-referrer"}
    return _HEADERS | policy | (_HTTPS_HEADERS if https else {})


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that pages load; its address changes with its content."""

    content: bytes
    media_type: str
    url: str


class Rendering:
    """The templates and static files of the package, read once."""

    def __init__(self) -> None:
        self.files = {name: _static(name, media_type) for name, media_type in STATIC_TYPES.items()}
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("dockyard.web.pages"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {"time": short_time, "qr": qr_uri, "browser": browser_of}
        self._templates.globals["files"] = {name.partition(".")[0]: file.url for name, file in self.files.items()}

    def page(
        self,
        template: str,
        context: Mapping[str, Any],
        *,
        https: bool,
        status: int = 200,
        referrer: bool = True,
    ) -> Response:
        """Answer with a page; ``template`` is its file without ``.html``."""
        text = self._templates.get_template(f"{template}.html").render(context)
        return HTMLResponse(text, status, security_headers(https=https, referrer=referrer))

    def static(self, name: str) -> Response | None:
        """Answer with a static file; ``None`` where there is none of that name."""
        if (file := self.files.get(name)) is None:
            return None
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(file.content, headers=headers, media_type=file.media_type)


def short_time(moment: dt.datetime) -> Markup:
    """A time as people read it, in UTC, to the minute."""
    utc = moment.astimezone(dt.UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M} UTC")


def browser_of(agent: str) -> str:
    """What people call a browser that calls itself ``agent``; that text where it is not known."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in agent), "")
    return f"{browser} on {system}" if browser and system else agent or "unknown"


def qr_uri(text: str) -> str:
    """A QR code as an image that is its own address. White below it: cameras want that, whatever the page's colours."""
    return segno.make(text, error="m", micro=False).svg_data_uri(scale=4, light="#fff", border=4)


def _static(name: str, media_type: str) -> StaticFile:
    content = (resources.files("dockyard.web.pages") / "static" / name).read_bytes()
    return StaticFile(content, media_type, f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}")
