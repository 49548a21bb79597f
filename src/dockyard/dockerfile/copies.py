"""What COPY and ADD are asked for, variables expanded and checked.

Source: docker's Dockerfile reference, sections COPY and ADD.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dockyard.dockerfile import paths
from dockyard.dockerfile.patterns import compile_pattern
from dockyard.dockerfile.steps import CopyAction
from dockyard.errors import Invalid
from dockyard.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.dockerfile.instructions import Copy, Heredoc
    from dockyard.dockerfile.steps import Origin

_SYMBOLIC = re.compile(r"[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*")
_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)


def copy_action(
    instruction: Copy,
    origin: Origin,
    expand: Callable[[str], str],
    content: Callable[[Heredoc], str],
    workdir: str,
    *,
    windows: bool,
) -> CopyAction:
    """What to copy. Raise :class:`Invalid`."""
    given = [expand(source) for source in instruction.sources]
    keyword = "ADD" if instruction.add else "COPY"
    destination = paths.destination(workdir, expand(instruction.destination), windows=windows)
    if len(given) + len(instruction.heredocs) > 1 and not destination.endswith("/"):
        # docker refuses it or takes it for a folder, by its version.
        destination += "/"
    if not instruction.add:
        for source in given:
            if is_url(source) or is_git(source):
                kind = "URL" if is_url(source) and not is_git(source) else "git ref"
                raise Invalid(f"source can't be a {kind} for COPY: {source}", hint="Use ADD.")
    sources = [
        source if is_url(source) or is_git(source) else paths.source(source, windows=windows) for source in given
    ]
    return CopyAction(
        origin,
        tuple(sources),
        destination,
        tuple((file_name(document), content(document).encode()) for document in instruction.heredocs),
        instruction.add,
        expand(instruction.chown),
        _checked_mode(expand(instruction.chmod)),
        instruction.link,
        instruction.parents,
        tuple(_checked_pattern(expand(pattern), keyword) for pattern in instruction.excludes),
        _checked_sum(expand(instruction.checksum), given) if instruction.checksum else "",
        instruction.keep_git_dir,
        instruction.unpack,
    )


def sources_of(action: CopyAction) -> tuple[str, ...]:
    """The sources that are in the action's origin: not those that are fetched."""
    return tuple(source for source in action.sources if not (action.add and (is_url(source) or is_git(source))))


def is_url(source: str) -> bool:
    """Whether a source is fetched over HTTP, or with git where :func:`is_git` says so."""
    return source.startswith(("http://", "https://"))


def is_git(source: str) -> bool:
    """Whether a source is a git repository: ``git@host:path``, ``git://``, ``ssh://``, or a URL of ``….git``."""
    if source.startswith(("git://", "ssh://")) or re.match(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:", source):
        return True
    return is_url(source) and re.split(r"[#?]", source, maxsplit=1)[0].endswith(".git")


def file_name(document: Heredoc) -> str:
    """The name of the file that a here-document is. Raise :class:`Invalid` where it is none."""
    if "/" in document.name or document.name in ("", ".", ".."):
        raise Invalid(f"a here-document can't be a file with the name {document.name!r}")
    return document.name


def _checked_mode(text: str) -> str:
    octal = re.fullmatch(r"[0-7]{1,12}", text)
    if (octal and int(text, 8) <= 0o7777) or (not octal and _SYMBOLIC.fullmatch(text)) or not text:
        return text
    raise Invalid(
        f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
        hint="Or write what to change, as in u=rwX,go=rX.",
    )


def _checked_pattern(text: str, keyword: str) -> str:
    try:
        compile_pattern(text)
    except Invalid as error:
        raise Invalid(f"{keyword} --exclude: {error.message}") from None
    return text


def _checked_sum(text: str, sources: list[str]) -> str:
    if len(sources) != 1:
        raise Invalid("checksum can't be specified for multiple sources")
    if not is_url(sources[0]) and not is_git(sources[0]):
        raise Invalid("checksum requires HTTP(S) or Git sources")
    if is_git(sources[0]):
        if not _COMMIT.fullmatch(text):
            raise Invalid(f"invalid checksum {text!r}: of a git source it is a commit")
    else:
        Digest.parse(text)
    return text
