"""Reading a request's body: as it comes, and giving up on who sends none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from dockyard.errors import TooLarge
from dockyard.registry.access import EVERYBODY
from dockyard.web import messages
from dockyard.web.messages import ClientGone, ClientSlow, Request
from dockyard.web.routing import Kind, Route

END = object()


def request(*pieces: Any, pause: float = 0, headers: Mapping[str, str] = {}, query: str = "") -> Request:
    """A request whose body arrives in these pieces; END is the client hanging up."""

    async def arriving() -> AsyncIterator[dict[str, Any]]:
        for place, piece in enumerate(pieces):
            await asyncio.sleep(pause)
            if piece is END:
                yield {"type": "http.disconnect"}
            else:
                yield {"type": "http.request", "body": piece, "more_body": place < len(pieces) - 1}
        await asyncio.Event().wait()

    coming = arriving()
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": "PUT", "headers": sent, "query_string": query.encode()}
    return Request(scope, coming.__anext__, EVERYBODY, Route(Kind.OTHER))


async def test_a_body_comes_in_the_pieces_it_came_in() -> None:
    asked = request(b"ab", b"", b"c")

    assert [piece async for piece in asked.chunks()] == [b"ab", b"c"]
    assert asked.received == 3
    assert await asked.drain()


async def test_what_was_received_before_the_client_hung_up_is_there() -> None:
    asked, pieces = request(b"ab", END), []
    with pytest.raises(ClientGone):
        async for piece in asked.chunks():
            pieces.append(piece)

    assert pieces == [b"ab"]
    assert not await asked.drain()


async def test_who_sends_next_to_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "PATIENCE", 0.2)
    asked = request(*[b"x"] * 1000, pause=0.01)

    with pytest.raises(ClientSlow):
        async for _ in asked.chunks():
            pass
    assert 0 < asked.received < 1000
    assert not await asked.drain()


async def test_who_sends_slowly_but_enough_may_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "PATIENCE", 0.5)
    monkeypatch.setattr(messages, "WINDOW", 10)
    asked = request(*[b"12345"] * 30, pause=0.05)

    assert len(b"".join([piece async for piece in asked.chunks()])) == 150


async def test_a_body_over_the_limit_is_refused_before_it_is_read_or_as_soon_as_it_shows() -> None:
    announced = request(b"x" * 11, headers={"content-length": "11"})
    chunked = request(b"x" * 6, b"x" * 6, b"x" * 6)
    for asked in announced, chunked:
        with pytest.raises(TooLarge):
            await asked.body(10)

    assert announced.received == 0
    assert chunked.received == 12
    assert await request(b"x" * 10, headers={"content-length": "10"}).body(10) == b"x" * 10


async def test_an_unwanted_body_is_read_a_little_so_that_the_answer_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "DRAIN", 10)
    monkeypatch.setattr(messages, "DRAIN_SECONDS", 0.1)

    assert await request().drain()
    assert await request(b"12345", b"6789", headers={"content-length": "9"}).drain()
    assert not await request(*[b"12345"] * 9, headers={"content-length": "45"}).drain()
    assert not await request(*[b"1"] * 9, pause=0.09, headers={"content-length": "9"}).drain()
    assert not await request(b"12345", headers={"content-length": "5", "expect": "100-continue"}).drain()


def test_a_parameter_may_come_several_times_and_empty() -> None:
    asked = request(query="tag=a&tag=b&n=&x=%41%20b")

    assert asked.queries("tag") == ["a", "b"]
    assert (asked.query("n"), asked.query("x"), asked.query("absent")) == ("", "A b", None)


@pytest.mark.parametrize(("text", "length"), [("12", 12), ("0", 0), ("-1", None), ("1e3", None), ("٣", None)])
def test_a_length_is_digits(text: str, length: int | None) -> None:
    assert request(headers={"content-length": text}).length == length


async def test_a_long_body_is_asked_for_ahead_in_order_and_what_is_left_over_is_taken_back() -> None:
    loop, given = asyncio.get_running_loop(), []

    def receive() -> asyncio.Future[dict[str, Any]]:
        answer: asyncio.Future[dict[str, Any]] = loop.create_future()
        place = len(given)
        given.append(answer)
        if place < 100:
            message = {"type": "http.request", "body": b"%03d" % place, "more_body": place < 99}
            loop.call_soon(lambda: answer.done() or answer.set_result(message))
        return answer

    asked = Request({"method": "PUT", "headers": [], "query_string": b""}, receive, EVERYBODY, Route(Kind.OTHER))

    assert b"".join([piece async for piece in asked.chunks()]) == b"".join(b"%03d" % place for place in range(100))
    assert 100 < len(given) <= 100 + messages.AHEAD
    asked.release()
    assert all(answer.done() for answer in given)
