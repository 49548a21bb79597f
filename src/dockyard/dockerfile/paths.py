"""Paths in a stage: relative to the working folder, and Windows ones without their drive.

Source: docker's Dockerfile reference, sections WORKDIR and COPY; BuildKit for which Windows paths it refuses.
"""

from __future__ import annotations

import posixpath

from dockyard.errors import Invalid


def workdir(current: str, path: str, *, windows: bool) -> str:
    """The working folder after ``WORKDIR path``, always with ``/``. Raise :class:`Invalid`."""
    return _join(current, path, windows=windows)


def shown(path: str, *, windows: bool) -> str:
    """The working folder as the image's config has it."""
    return path.replace("/", "\\") if windows else path


def destination(current: str, path: str, *, windows: bool) -> str:
    """Where COPY writes: absolute, with a slash at the end where it has to be a folder. Raise :class:`Invalid`."""
    plain = path.replace("\\", "/") if windows else path
    joined = _join(current, path, windows=windows)
    folder = plain in ("", ".", "..") or plain.endswith(("/", "/.", "/.."))
    return joined + "/" if folder and joined != "/" else joined


def source(path: str, *, windows: bool) -> str:
    """What COPY reads, as its tree names it. Raise :class:`Invalid`."""
    return _without_drive(path) if windows else path


def _join(current: str, path: str, *, windows: bool) -> str:
    if windows:
        current, path = _without_drive(current), _without_drive(path)
    # POSIX leaves open what two slashes in front mean; here they are one.
    return "/" + posixpath.normpath(posixpath.join("/", current, path)).lstrip("/")


def _without_drive(path: str) -> str:
    path = path.replace("\\", "/")
    if path.startswith("//"):
        raise Invalid(f"UNC paths are not supported: {path}")
    drive, colon, rest = path.partition(":")
    if not colon:
        return path
    if drive.lower() != "c":
        raise Invalid(f"the path {path} is not on the system drive (C:)")
    if not rest:
        raise Invalid(f"no relative path specified in {path!r}")
    return rest
