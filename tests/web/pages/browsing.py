"""A browser without a screen: it keeps cookies, reads forms out of pages, and sends them as they are filled in."""

from __future__ import annotations

import base64
import http.client
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import canary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from servers import Hub

FORM = "application/x-www-form-urlencoded"

Fields = dict[str, "str | Sequence[str]"]


@dataclass
class Form:
    """A form of a page, with what its fields hold."""

    method: str
    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)


class Reader(HTMLParser):
    """Reads forms, texts and the tags that there are."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._in_form = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag == "form":
            self.forms.append(Form(found["method"], found["action"]))
            self._in_form = True
        elif self._in_form and tag == "input" and "name" in found:
            ticked = found.get("type") not in ("radio", "checkbox") or "checked" in found
            self.forms[-1].fields.setdefault(found["name"], []).extend([found.get("value", "")] if ticked else [])
        elif self._in_form and tag == "select":
            self._select = found["name"]
            self.forms[-1].fields[self._select] = []
        elif self._select and tag == "option":
            values = self.forms[-1].fields[self._select]
            if "selected" in found or not values:
                values[:] = [found.get("value", "")]

    def handle_endtag(self, tag: str) -> None:
        self._in_form = self._in_form and tag != "form"
        self._select = "" if tag == "select" else self._select

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@dataclass(frozen=True)
class Page:
    """An answer."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @cached_property
    def reader(self) -> Reader:
        reader = Reader()
        reader.feed(self.text)
        return reader

    @property
    def words(self) -> str:
        """What a reader sees, its white space drawn together."""
        return " ".join(" ".join(self.reader.texts).split())

    @property
    def location(self) -> str:
        return self.headers["location"] or ""

    def form(self, action: str, **fields: str) -> Form:
        """The form that is sent to ``action``, with these values in its fields."""
        for form in self.reader.forms:
            if form.action == action and all(form.fields.get(name) == [value] for name, value in fields.items()):
                return form
        raise AssertionError(f"there is no form for {action} with {fields}:\n{self.text}")

    def code(self, label: str) -> str:
        """The text of the element that is labelled so."""
        _, _, rest = self.text.partition(f'aria-label="{label}">')
        assert rest, self.text
        return rest.partition("<")[0]


class Browser:
    """Somebody's browser."""

    def __init__(self, hub: Hub, *, prefix: str = "") -> None:
        self.hub = hub
        self.cookies: dict[str, str] = {}
        self._prefix = prefix

    @property
    def session(self) -> str:
        """The cookie of the session."""
        return self.cookies.get(f"{self._prefix}dockyard_session", "")

    def get(self, path: str, **headers: str) -> Page:
        return self._send("GET", path, None, headers)

    def post(self, path: str, fields: Mapping[str, str | Sequence[str]] | bytes, **headers: str) -> Page:
        body = fields if isinstance(fields, bytes) else urlencode(fields, doseq=True).encode()
        return self._send("POST", path, body, {"content_type": FORM} | headers)

    def submit(self, form: Form, **fields: str | Sequence[str]) -> Page:
        """Fill these into the form, and send it."""
        assert form.method == "post"
        assert set(fields) <= set(form.fields), f"{set(fields)} are not all in {form.fields}"
        return self.post(form.action, {**form.fields, **fields})

    def follow(self, page: Page) -> Page:
        """Go where the answer leads."""
        assert page.status == 303, page.text
        assert page.location.startswith("/")
        return self.get(page.location)

    def sign_in(self, name: str, password: str) -> Page:
        """The first step of signing in: the form, filled in and sent."""
        return self.submit(self.get("/login").form("/login"), name=name, password=password)

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Page:
        sent = {"Accept": "text/html"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=60)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            page = Page(response.status, response.headers, response.read().decode())
            canary.check_answer(page.status, page.headers, page.text.encode())
        finally:
            connection.close()
        self._keep(page)
        return page

    def _keep(self, page: Page) -> None:
        for line in page.headers.get_all("set-cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value


def basic(name: str, password: str) -> dict[str, str]:
    """The header that says who asks, on the JSON API."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def signed_in(hub: Hub, name: str, password: str) -> Browser:
    """A browser in which somebody is signed in."""
    browser = Browser(hub)
    page = browser.sign_in(name, password)
    assert page.status == 303, page.text
    assert urlsplit(page.location).path == "/", page.location
    return browser
