"""The grammar of image names; nothing else in dockyard takes a name apart.

Source: the reference grammar of distribution/reference (``normalize.go``, ``reference.go``) for what people type,
and the OCI distribution specification, section "Pulling manifests", for repository names and tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NewType

from dockyard.errors import DigestInvalid, NameInvalid, TagInvalid
from dockyard.oci.digest import Digest

RepositoryName = NewType("RepositoryName", str)
"""A repository's name inside its registry, valid once it exists: ``library/alpine``."""

Tag = NewType("Tag", str)
"""A tag, valid once it exists: ``3.20``."""

DOCKER_HUB = "docker.io"
MAX_NAME = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DOMAIN_PART = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_HOST = re.compile(rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?", re.ASCII)
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A full image name: ``registry/repository[:tag][@digest]``. ``str()`` gives it with nothing left out."""

    registry: str
    repository: RepositoryName
    tag: Tag | None = None
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """The registry and the repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def target(self) -> Tag | Digest:
        """What to ask the registry for: the digest where there is one, else the tag, else ``latest``."""
        return self.digest or self.tag or Tag("latest")

    def tagged(self) -> Reference:
        """The same name; with the tag ``latest`` where it had neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=Tag("latest"))

    def with_tag(self, tag: Tag) -> Reference:
        """The same repository under ``tag`` and no digest."""
        return replace(self, tag=tag, digest=None)

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str, *, default_registry: str = DOCKER_HUB) -> Reference:
    """Read a name as docker's users type it.

    A first part with a dot, a colon or an upper-case letter, or ``localhost``, is the registry; else the name
    belongs to ``default_registry``, and on Docker Hub a one-part name to ``library/``.
    Raise :class:`NameInvalid`, :class:`TagInvalid` or :class:`DigestInvalid`.
    """
    if not text:
        raise NameInvalid("invalid reference format: the name is empty")
    if _HEX64.fullmatch(text):
        raise NameInvalid(f"invalid repository name ({text}): it can't be 64 hexadecimal digits, which are an ID")
    rest, at, digest_text = text.partition("@")
    digest = _parse_digest_part(digest_text, text) if at else None
    head, slash, last = rest.rpartition("/")
    last, colon, tag_text = last.partition(":")
    if colon and not _TAG.fullmatch(tag_text):
        raise TagInvalid(f"invalid reference format: {tag_text!r} in {text!r} is not a tag")
    registry, path = _split_registry(head + slash + last, default_registry)
    if path != path.lower():
        raise NameInvalid(f"invalid reference format: repository name ({path}) must be lowercase")
    if not _HOST.fullmatch(registry):
        raise NameInvalid(f"invalid reference format: {registry!r} in {text!r} is not a registry's host")
    if not _REPOSITORY.fullmatch(path):
        raise NameInvalid(f"invalid reference format: {path!r} is not a repository name")
    if len(registry) + 1 + len(path) > MAX_NAME:
        raise NameInvalid(f"repository name must not be more than {MAX_NAME} characters")
    return Reference(registry, RepositoryName(path), Tag(tag_text) if colon else None, digest)


def familiar(reference: Reference, *, default_registry: str = DOCKER_HUB) -> str:
    """The shortest text that :func:`parse_reference` reads back as ``reference`` under the same default."""
    full = str(reference)
    candidates = [full.removeprefix(f"{reference.registry}/")]
    if reference.registry == DOCKER_HUB:
        candidates.insert(0, candidates[0].removeprefix("library/"))
    if reference.registry != default_registry:
        return full
    for candidate in candidates:
        try:
            if parse_reference(candidate, default_registry=default_registry) == reference:
                return candidate
        except (NameInvalid, TagInvalid, DigestInvalid):
            continue
    return full


def parse_repository(text: str) -> RepositoryName:
    """Check a repository name of the registry API; raise :class:`NameInvalid`."""
    if len(text) > MAX_NAME:
        raise NameInvalid(f"repository name is over {MAX_NAME} characters")
    if not _REPOSITORY.fullmatch(text):
        raise NameInvalid(f"invalid repository name: {text!r}")
    return RepositoryName(text)


def parse_tag(text: str) -> Tag:
    """Check a tag; raise :class:`TagInvalid`."""
    if not _TAG.fullmatch(text):
        shown = text if len(text) <= 130 else text[:130] + "..."
        raise TagInvalid(f"invalid tag: {shown!r} (up to 128 letters, digits, '_', '.' and '-', not first '.' or '-')")
    return Tag(text)


def parse_target(text: str) -> Tag | Digest:
    """Read what follows ``/manifests/``: a digest where there is a colon, else a tag."""
    return Digest.parse(text) if ":" in text else parse_tag(text)


def _parse_digest_part(text: str, whole: str) -> Digest:
    try:
        return Digest.parse(text)
    except DigestInvalid as error:
        raise DigestInvalid(f"invalid reference format: {whole!r}: {error.message}") from None


def _split_registry(text: str, default_registry: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    names_a_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    registry, path = (first, rest) if names_a_host else (default_registry, text)
    if registry == "index.docker.io":
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return registry, path
