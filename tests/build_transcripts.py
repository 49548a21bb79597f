"""Builds as they were told, event by event: what progress shows of them is in tests/golden/progress."""

from __future__ import annotations

from dockyard.engine.build_events import BuildEvent, Progress

LOAD, BASE, MAKE, TEST, COPY, EXPORT = (
    "[internal] load build definition from Dockerfile",
    "[internal] load metadata for docker.io/library/alpine:3.20",
    "[build 2/3] RUN make",
    "[test 1/1] RUN ./test",
    "[build 3/3] COPY . /src",
    "exporting to image",
)


def event(number: int, name: str, progress: Progress, time: float, detail: str = "", **more: int) -> BuildEvent:
    """An event; ``time`` counts from the start of the build."""
    return BuildEvent(number, name, progress, 1000.0 + time, detail, **more)


def said(number: int, name: str, time: float, data: bytes, stream: int = 1) -> BuildEvent:
    """A piece of output."""
    return BuildEvent(number, name, Progress.OUTPUT, 1000.0 + time, data=data, stream=stream)


def _begin() -> list[BuildEvent]:
    return [
        event(1, LOAD, Progress.STARTED, 0.0),
        event(1, LOAD, Progress.STATUS, 0.001, "transferring dockerfile:", current=123),
        event(1, LOAD, Progress.DONE, 0.004),
        event(2, BASE, Progress.STARTED, 0.01),
        event(2, BASE, Progress.STATUS, 0.02, "sha256:5d20c808", current=0, total=3_623_807),
        event(2, BASE, Progress.STATUS, 0.3, "sha256:5d20c808", current=1_048_576, total=3_623_807),
        event(2, BASE, Progress.STATUS, 0.35, "sha256:5d20c808", current=1_060_000, total=3_623_807),
        event(2, BASE, Progress.STATUS, 0.6, "sha256:5d20c808", current=3_623_807, total=3_623_807),
        event(2, BASE, Progress.DONE, 0.61),
    ]


SUCCESS = [
    *_begin(),
    event(3, MAKE, Progress.STARTED, 0.7),
    said(3, MAKE, 0.9, b"cc -c a.c\ncc -c "),
    said(3, MAKE, 1.2, b"b.c\r\n\x1b[31mwarning\x1b[0m: \x1b]0;title\x07unused\n"),
    said(3, MAKE, 1.3, b"10%\r50%\r100%\nno newline"),
    event(3, MAKE, Progress.DONE, 15.0),
    event(4, COPY, Progress.STARTED, 15.0),
    event(4, COPY, Progress.CACHED, 15.0),
    event(5, EXPORT, Progress.STARTED, 15.1),
    event(5, EXPORT, Progress.WARNING, 15.1, "One or more build-args [WHO] were not consumed"),
    event(5, EXPORT, Progress.STATUS, 15.2, "writing image sha256:0123"),
    event(5, EXPORT, Progress.STATUS, 15.2, "naming to docker.io/team/app:1"),
    event(5, EXPORT, Progress.DONE, 15.25),
]

FAILURE = [
    *_begin(),
    event(3, MAKE, Progress.STARTED, 0.7),
    event(4, TEST, Progress.STARTED, 0.8),
    said(3, MAKE, 0.9, b"cc -c a.c\n"),
    said(4, TEST, 1.0, b"test 1\ntest 2\n", stream=2),
    said(3, MAKE, 8.0, b"cc -c b.c\n"),
    said(4, TEST, 8.1, b"test 3\n"),
    said(3, MAKE, 8.2, b"a.c:1: \x1b[1merror\x1b[0m\n"),
    event(3, MAKE, Progress.FAILED, 8.3, 'process "/bin/sh -c make" did not complete successfully: exit code: 2'),
    event(4, TEST, Progress.CANCELED, 8.31),
]
