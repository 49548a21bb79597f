"""Content addresses, and the hash that makes them while bytes stream by.

Source: OCI image specification, ``descriptor.md``, section "Digests".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from dockyard.errors import DigestInvalid

if TYPE_CHECKING:
    from typing import Self

HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A content address such as ``sha256:6c3c…``; it is valid once it exists."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``algorithm:hex``; raise :class:`DigestInvalid` and say what is wrong."""
        algorithm, colon, value = text.partition(":")
        shown = text if len(text) <= 160 else text[:157] + "..."
        if not colon:
            raise DigestInvalid(f"not a digest: {shown!r} (expected sha256:<64 hex digits>)")
        if (length := HEX_LENGTH.get(algorithm)) is None:
            raise DigestInvalid(f"not a digest: {shown!r}: the algorithm is neither sha256 nor sha512")
        if len(value) != length or not _HEX.fullmatch(value):
            raise DigestInvalid(f"not a digest: {shown!r}: {algorithm} has {length} lower-case hex digits")
        return cls(algorithm, value)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """Return the digest of the whole of ``content``."""
        return cls(algorithm, hashlib.new(algorithm, content, usedforsecurity=False).hexdigest())

    @property
    def short(self) -> str:
        """The first 12 hex digits, as docker prints image IDs."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


class Hasher:
    """A running hash of content, whose state can be saved and taken up again by another process.

    hashlib's state can't leave its process, so the hash runs on libcrypto's own context (the library under
    hashlib). Where that library can't be loaded the hash is hashlib's: ``save`` then returns ``None`` and the
    content has to be read once more.
    """

    def __init__(self, algorithm: str = "sha256") -> None:
        if algorithm not in HEX_LENGTH:
            raise DigestInvalid(f"unknown digest algorithm: {algorithm!r}")
        self.algorithm = algorithm
        self._state: _LibcryptoState | Any
        functions = _libcrypto(algorithm)
        self._state = _LibcryptoState(functions) if functions else hashlib.new(algorithm, usedforsecurity=False)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take in ``data``. The interpreter lock is released meanwhile."""
        self._state.update(data)

    def digest(self) -> Digest:
        """Return the digest of what came in so far; more may follow."""
        return Digest(self.algorithm, self._state.copy().hexdigest())

    def save(self) -> bytes | None:
        """Return the state, tagged with what can load it, or ``None`` where it can't be saved."""
        if not isinstance(self._state, _LibcryptoState):
            return None
        return self._state.tag + self._state.context.raw

    @classmethod
    def load(cls, algorithm: str, saved: bytes | None) -> Self | None:
        """Return a hasher that goes on from ``saved``, or ``None`` where this machine can't read that state."""
        hasher = cls(algorithm)
        state = hasher._state
        if not saved or not isinstance(state, _LibcryptoState):
            return None
        tag = state.tag
        if not saved.startswith(tag) or len(saved) != len(tag) + len(state.context):
            return None
        state.context.raw = saved[len(tag) :]
        return hasher


# The contexts of libcrypto hold: the chaining value, the count of bits (two words), one block, then two
# 32-bit numbers (bytes in the block, length of the digest). That layout is public in openssl/sha.h.
_CONTEXT_SIZE = {"sha256": 32 + 8 + 64 + 8, "sha512": 64 + 16 + 128 + 8}


class _LibcryptoState:
    """``SHA256_CTX`` or ``SHA512_CTX`` of libcrypto, with hashlib's methods."""

    def __init__(self, functions: _Functions) -> None:
        import ctypes

        self.functions = functions
        self.tag = functions.tag
        self.context = ctypes.create_string_buffer(functions.size)
        functions.init(self.context)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        import ctypes

        if isinstance(data, bytes):
            self.functions.update(self.context, data, len(data))
            return
        view = memoryview(data).cast("B")
        if view.readonly or not len(view):
            self.functions.update(self.context, bytes(view), len(view))
            return
        self.functions.update(self.context, (ctypes.c_char * len(view)).from_buffer(view), len(view))

    def copy(self) -> _LibcryptoState:
        other = _LibcryptoState(self.functions)
        other.context.raw = self.context.raw
        return other

    def hexdigest(self) -> str:
        import ctypes

        out = ctypes.create_string_buffer(self.functions.digest_size)
        self.functions.final(out, self.context)
        return out.raw.hex()


@dataclass(frozen=True, slots=True)
class _Functions:
    init: Any
    update: Any
    final: Any
    size: int
    digest_size: int
    tag: bytes


@cache
def _libcrypto(algorithm: str) -> _Functions | None:
    """Return libcrypto's functions for the algorithm, once they proved right on a known input."""
    import ctypes
    import ctypes.util
    import sys

    try:
        # By name first: looking it up starts ldconfig.
        library = ctypes.CDLL("libcrypto.so.3")
    except OSError:
        try:
            library = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so")
        except OSError:
            return None
    prefix = algorithm.upper()
    try:
        init, update, final = (getattr(library, f"{prefix}_{verb}") for verb in ("Init", "Update", "Final"))
    except AttributeError:
        return None
    init.argtypes = [ctypes.c_void_p]
    update.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    final.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    tag = f"libcrypto-{algorithm}-{sys.byteorder}-1:".encode()
    functions = _Functions(init, update, final, _CONTEXT_SIZE[algorithm], HEX_LENGTH[algorithm] // 2, tag)
    # A build whose context has another layout would write past ours or give other digests: check before use.
    state = _LibcryptoState(functions)
    state.update(b"dockyard" * 40)
    expected = hashlib.new(algorithm, b"dockyard" * 40, usedforsecurity=False).hexdigest()
    return functions if state.copy().hexdigest() == expected else None
