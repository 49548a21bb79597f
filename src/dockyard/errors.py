"""Every error that dockyard raises on purpose, as one tree.

::

    DockyardError
    ├── NotFound          404  BlobUnknown, BlobUploadUnknown, ManifestUnknown, NameUnknown,
    │                          ImageUnknown, ContextUnknown
    ├── Invalid           400  DigestInvalid, ManifestInvalid, ManifestBlobUnknown, NameInvalid, TagInvalid,
    │                          BlobUploadInvalid, SizeInvalid, PageInvalid, ArchiveInvalid,
    │                          SettingInvalid, DockerfileInvalid
    ├── Unauthenticated   401  SecondFactorNeeded
    ├── Denied            403
    ├── Unsupported       405
    ├── Conflict          409  UploadTaken
    ├── TooLarge          413
    ├── OutOfRange        416  RangeInvalid
    ├── TooMany           429
    ├── Unavailable       503
    ├── Full              507
    └── BuildFailed            a build's command failed

The domain raises by kind; each front door translates kinds once: ``web`` into a status and an OCI error body,
``cli`` into a message on stderr and an exit code. ``code`` is the identifier of the OCI distribution
specification, section "Error Codes", where it has one.
"""

from __future__ import annotations


class DockyardError(Exception):
    """The root of the tree. ``message`` names the thing; ``hint``, where there is one, says what to do."""

    code = "UNKNOWN"

    def __init__(self, message: str, *, hint: str | None = None, detail: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class NotFound(DockyardError):
    """What was asked for is not there, or the asker may not know that it is."""

    code = "NOT_FOUND"


class Invalid(DockyardError):
    """What came in breaks a rule; sending it again will not help."""

    code = "INVALID"


class Unauthenticated(DockyardError):
    """Nobody said who asks, or the credentials are wrong."""

    code = "UNAUTHORIZED"


class Denied(DockyardError):
    """Who asks is known and may not do this."""

    code = "DENIED"


class Unsupported(DockyardError):
    """The thing exists and this is never done to it."""

    code = "UNSUPPORTED"


class Conflict(DockyardError):
    """Another change got there first, or the thing is in use."""

    code = "CONFLICT"


class TooLarge(DockyardError):
    """Over a limit of size."""

    code = "SIZE_INVALID"


class OutOfRange(DockyardError):
    """A range that the content does not have."""


class TooMany(DockyardError):
    """Asked too often. ``retry_after`` is in seconds, where the other side said so."""

    code = "TOOMANYREQUESTS"

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unavailable(DockyardError):
    """The other side, or a part of this one, can't answer now; trying again may help."""

    code = "UNAVAILABLE"

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Full(DockyardError):
    """No space left where the bytes should go."""

    code = "NO_SPACE"


class BuildFailed(DockyardError):
    """A step of a build failed: ``exit_code`` is its command's, 0 where it was no command.

    ``file``, ``line``, ``end_line`` and ``lines``, its whole text, say which instruction, once the builder set them.
    """

    def __init__(self, message: str, *, exit_code: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
        self.file, self.line, self.end_line = "Dockerfile", 0, 0
        self.lines: tuple[str, ...] = ()


class BlobUnknown(NotFound):
    """No such blob in this repository."""

    code = "BLOB_UNKNOWN"


class BlobUploadUnknown(NotFound):
    """No such upload session: it ended, expired or never was."""

    code = "BLOB_UPLOAD_UNKNOWN"


class ManifestUnknown(NotFound):
    """No such tag or manifest in this repository."""

    code = "MANIFEST_UNKNOWN"


class NameUnknown(NotFound):
    """No such repository."""

    code = "NAME_UNKNOWN"


class ImageUnknown(NotFound):
    """No such image in the local store."""


class ContextUnknown(NotFound):
    """No such context on this machine."""


class SecondFactorNeeded(Unauthenticated):
    """The password is right, and the account wants a code of its second factor beside it.

    ``pending`` says for a few minutes, to the hub alone, whose password was right: a sign-in can go on with it.
    """

    def __init__(self, message: str, *, pending: str = "") -> None:
        super().__init__(message)
        self.pending = pending


class DigestInvalid(Invalid):
    """Not a digest, or the bytes are not what their digest says."""

    code = "DIGEST_INVALID"


class ManifestInvalid(Invalid):
    """Not a manifest, or one that says two things at once."""

    code = "MANIFEST_INVALID"


class ManifestBlobUnknown(Invalid):
    """A manifest names content that this repository does not have."""

    code = "MANIFEST_BLOB_UNKNOWN"


class NameInvalid(Invalid):
    """Not a repository name, an image reference, or the name of an account or team."""

    code = "NAME_INVALID"


class TagInvalid(Invalid):
    """Not a tag."""

    code = "TAG_INVALID"


class BlobUploadInvalid(Invalid):
    """The upload can't go on as asked."""

    code = "BLOB_UPLOAD_INVALID"


class SizeInvalid(Invalid):
    """The content is longer or shorter than what was announced."""

    code = "SIZE_INVALID"


class PageInvalid(Invalid):
    """A page of a list that can't be: a count that is no number. The specification has no code of its own for it."""

    code = "UNSUPPORTED"


class UploadTaken(Conflict):
    """Another request goes on with the upload."""

    code = "BLOB_UPLOAD_INVALID"


class ArchiveInvalid(Invalid):
    """An archive or image layout that is truncated, lies about its content, or climbs out of its folder."""


class SettingInvalid(Invalid):
    """A setting with a value it can't have."""


class DockerfileInvalid(Invalid):
    """A Dockerfile that can't be read or planned. ``line`` and ``column`` count from 1; ``source`` is that line.

    ``lines`` is the whole file, once who has it set it, for a message that shows what stands around.
    """

    def __init__(
        self, message: str, *, file: str = "Dockerfile", line: int = 0, column: int = 1, source: str = "",
        hint: str | None = None,
    ) -> None:  # fmt: skip
        where = f"{file}:{line}:{column}: " if line else f"{file}: "
        super().__init__(where + message, hint=hint)
        self.file, self.line, self.column, self.source, self.problem = file, line, column, source, message
        self.lines: tuple[str, ...] = ()


class RangeInvalid(OutOfRange):
    """A chunk that does not start where the upload stands; ``offset`` is where that is, in bytes."""

    code = "BLOB_UPLOAD_INVALID"

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(message)
        self.offset = offset
