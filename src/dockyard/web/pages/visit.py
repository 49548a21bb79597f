"""One request to a page: who asks, the form that came, and the answer with its cookies.

Who is signed in is said by a cookie that no script reads. A form carries the token of its session. Before there is
one, it carries what also is in a cookie of its own, which another site can neither read nor set.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Literal

from starlette.responses import Response

from dockyard.errors import Conflict, Denied, Invalid, NotFound, TooMany, Unauthenticated, Unavailable
from dockyard.registry.access import EVERYBODY
from dockyard.web import messages
from dockyard.web.cookies import SESSION, cookie_name
from dockyard.web.pages.forms import FORM_LIMIT, parse_form, same_token
from dockyard.web.pages.rendering import security_headers
from dockyard.web.refusals import status_of
from dockyard.web.routing import Kind, Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from dockyard.errors import DockyardError
    from dockyard.registry.access import Actor
    from dockyard.registry.hub import Hub
    from dockyard.registry.profiles import NewSession
    from dockyard.web.pages.forms import Form
    from dockyard.web.pages.rendering import Rendering

FORM = "dockyard_form"
PENDING = "dockyard_pending"
"""What waits for the code of a second factor."""

REFUSALS = (Invalid, Unauthenticated, Denied, NotFound, Conflict, TooMany)
"""What a form may be refused for that its sender can do something about; all else is a page of its own."""

PENDING_SECONDS = 300
AGENT_LENGTH = 300

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_NOWHERE = Route(Kind.OTHER)


class FormOutOfDate(Denied):
    """A form without the token of who sends it: it is old, or another site made it."""


class Visit:
    """One request to a page. ``actor`` is who is signed in, once :meth:`enter` has looked."""

    def __init__(self, hub: Hub, request: Request, rendering: Rendering, *, referrer: bool) -> None:
        self.hub, self.request = hub, request
        self.actor: Actor | None = None
        self.https = hub.settings.url.startswith("https://")
        self.host = hub.settings.url.partition("://")[2]
        self.address = request.client.host if request.client else ""
        self.agent = request.headers.get("user-agent", "")[:AGENT_LENGTH]
        self._rendering, self._referrer = rendering, referrer
        # The request's own reader has no limit, neither of bytes nor of time.
        self._body = messages.Request(request.scope, request.receive, EVERYBODY, _NOWHERE)
        self._token = self._new_token = ""

    async def enter(self) -> None:
        """Look who is signed in."""
        if cookie := self.cookie(SESSION):
            found = await self.hub.sessions.actor(cookie, address=self.address)
            if found is not None:
                self.actor, self._token = found

    @property
    def user(self) -> Actor:
        """Who is signed in. Unauthenticated where nobody is."""
        if self.actor is None:
            raise Unauthenticated("sign in first")
        return self.actor

    @property
    def wants_html(self) -> bool:
        """Whether a browser asks."""
        return "text/html" in self.request.headers.get("accept", "")

    def query(self, name: str) -> str:
        """A parameter of the query, without spaces around it; empty where there is none."""
        return self.request.query_params.get(name, "").strip()

    def cookie(self, name: str) -> str:
        """A cookie's value; empty where it is missing."""
        return self.request.cookies.get(self._cookie_name(name), "")

    async def form(self) -> Form:
        """The form that came, once its token is right. Invalid, TooLarge, Denied; ClientGone, ClientSlow."""
        body = await self._body.body(FORM_LIMIT)
        if self.actor:
            # Anew: the body may have taken a minute, and access ends in seconds.
            self.actor, self._token = None, ""
            await self.enter()
        form = parse_form(self.request.headers.get("content-type", ""), body)
        expected = self._token if self.actor else self._form_cookie()
        if not same_token(expected, form.exact("csrf")):
            raise FormOutOfDate("this form is out of date", hint="Load the page again, and send it once more.")
        return form

    async def settle(self, response: Response) -> None:
        """Read what is left of a body that nobody wants; where it does not end, the connection does. ClientGone."""
        if self.request.method == "POST" and not await self._body.drain():
            response.headers["Connection"] = "close"

    def token(self) -> str:
        """What forms of the page carry."""
        if not self._token:
            self._token = self._form_cookie()
        if not self._token:
            self._token = self._new_token = secrets.token_urlsafe(32)
        return self._token

    def page(self, template: str, *, status: int = 200, error: DockyardError | None = None, **context: Any) -> Response:
        """Answer with a page. An ``error`` is said at its top, and gives the status."""
        given = {
            "host": self.host,
            "actor": self.actor,
            "signup": self.hub.settings.signup,
            "csrf": self.token,
            "alert": sentence(error) if error else "",
            "done": "",
            "errors": {},
            **context,
        }
        status = page_status(error) if error else status
        response = self._rendering.page(template, given, https=self.https, status=status, referrer=self._referrer)
        if isinstance(error, TooMany | Unavailable) and error.retry_after is not None:
            response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
        if self._new_token:
            self._set(response, FORM, self._new_token, same_site="strict")
        return response

    def redirect(self, path: str) -> Response:
        """Lead the browser on to a path of this hub, to be asked for with GET."""
        headers = security_headers(https=self.https, referrer=self._referrer)
        return Response(status_code=303, headers={"Location": path, **headers})

    async def signed_in(self, session: NewSession, path: str) -> Response:
        """Give the browser its new session, in place of any that it had, and lead it on."""
        if cookie := self.cookie(SESSION):
            await self.hub.sessions.end_current(cookie, address=self.address)
        response = self.redirect(path)
        self._set(response, SESSION, session.cookie, max_age=session.seconds)
        self._drop(response, FORM)
        self._drop(response, PENDING)
        return response

    async def signed_out(self, path: str) -> Response:
        """End the session, and lead the browser on."""
        if cookie := self.cookie(SESSION):
            await self.hub.sessions.end_current(cookie, address=self.address)
        response = self.redirect(path)
        self._drop(response, SESSION)
        return response

    def await_code(self, pending: str, path: str) -> Response:
        """Let the browser keep that the password was right, and lead it on to the second step."""
        response = self.redirect(path)
        self._set(response, PENDING, pending, max_age=PENDING_SECONDS, same_site="strict")
        return response

    def _form_cookie(self) -> str:
        value = self.cookie(FORM)
        return value if _TOKEN.fullmatch(value) else ""

    def _cookie_name(self, name: str) -> str:
        return cookie_name(name, self.hub.settings.url)

    def _set(
        self,
        response: Response,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        same_site: Literal["lax", "strict"] = "lax",
    ) -> None:
        response.set_cookie(
            self._cookie_name(name), value, max_age, path="/", secure=self.https, httponly=True, samesite=same_site
        )

    def _drop(self, response: Response, name: str) -> None:
        if self._cookie_name(name) in self.request.cookies:
            response.delete_cookie(self._cookie_name(name), secure=self.https, httponly=True)


def page_status(error: DockyardError) -> int:
    """The status of a page for an error. 401 is not among them: it asks browsers for a header that pages never read."""
    return 403 if isinstance(error, Unauthenticated) else status_of(error)


def sentence(error: DockyardError) -> str:
    """What an error says, as a sentence on a page."""
    text = f"{error.message[:1].upper()}{error.message[1:]}."
    return f"{text} {error.hint}" if error.hint else text
