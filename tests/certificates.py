"""Certificates for servers of tests: each from an authority of its own, made with openssl."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from servers import must

if TYPE_CHECKING:
    from pathlib import Path

_NEW = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2")


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM: a certificate, its key, and the authority that it hangs on."""

    cert: Path
    key: Path
    authority: Path


def certificate(folder: Path, *names: str) -> Certificate:
    """Make one for DNS names, or addresses written as ``IP:127.0.0.1``."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "cert.pem", folder / "key.pem", folder / "authority.pem")
    secret = folder / "authority-key.pem"
    must(*_NEW, "-nodes", "-subj", "/CN=Authority of tests", "-keyout", secret, "-out", made.authority)
    alternatives = ",".join(name if name.startswith("IP:") else f"DNS:{name}" for name in names)
    must(
        *_NEW, "-nodes", "-subj", "/CN=Hub of tests", "-addext", f"subjectAltName={alternatives}",
        "-addext", "basicConstraints=critical,CA:FALSE", "-CA", made.authority, "-CAkey", secret,
        "-keyout", made.key, "-out", made.cert,
    )  # fmt: skip
    return made
