from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockyard.content.retry import Retry, Unreachable
from dockyard.errors import BlobUnknown, DockyardError, TooMany, Unavailable


class Patient:
    """A clock that only this test moves."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def failing(*errors: Exception) -> Callable[[], object]:
    left = list(errors)

    async def operation() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return operation


async def run(*errors: Exception, **settings: object) -> list[float]:
    clock = Patient()
    retry = Retry(sleep=clock.sleep, random=lambda: 1.0, **settings)  # type: ignore[arg-type]
    assert await retry(failing(*errors)) == "done"  # type: ignore[arg-type]
    return clock.waits


async def test_waits_double_from_failure_to_failure() -> None:
    waits = await run(*[Unavailable("503")] * 4, first=1.0, longest=100.0)

    assert waits == [1, 2, 4, 8]


async def test_the_other_sides_wish_is_kept_to() -> None:
    waits = await run(TooMany("429", retry_after=7), first=1.0)

    assert 7 <= waits[0] <= 8


async def test_a_wish_beyond_patience_ends_the_tries_at_once() -> None:
    with pytest.raises(TooMany):
        await run(TooMany("429", retry_after=3600))


async def test_the_last_error_is_raised_when_the_tries_are_used_up() -> None:
    with pytest.raises(Unavailable, match="3"):
        await run(*[Unavailable(str(count)) for count in range(1, 9)], tries=3)


@pytest.mark.parametrize("error", [BlobUnknown("no"), Unreachable("no")])
async def test_what_waiting_does_not_mend_is_not_tried_again(error: DockyardError) -> None:
    with pytest.raises(type(error)):
        await run(error)


async def test_tries_start_anew_whenever_bytes_moved() -> None:
    clock, moved = Patient(), 0

    async def operation() -> str:
        nonlocal moved
        moved += 1
        if moved < 20:
            raise Unavailable("cut")
        return "done"

    result = await Retry(tries=2, sleep=clock.sleep)(operation, progress=lambda: moved)

    assert result == "done"
    assert max(clock.waits) <= 0.4


async def test_failures_are_told_with_the_wait_that_follows() -> None:
    clock, told = Patient(), []
    retry = Retry(sleep=clock.sleep)
    await retry(failing(Unavailable("cut")), notify=lambda error, wait: told.append((error.message, wait)))  # type: ignore[arg-type]

    assert told == [("cut", clock.waits[0])]


@given(st.integers(1, 50), st.floats(0, 1), st.none() | st.floats(0, 1e6))
def test_no_wait_is_longer_than_patience_allows(failures: int, chance: float, wish: float | None) -> None:
    retry = Retry(tries=100, random=lambda: chance)
    wait = retry.delay(failures, TooMany("429", retry_after=wish))

    assert wait is None or 0 < wait <= retry.patience + retry.longest
