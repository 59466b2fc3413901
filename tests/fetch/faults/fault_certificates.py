"""Certificates for https sites of tests, made anew each time with the `openssl` command."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """An authority's certificate (`authority`, for SSL_CERT_FILE), and contexts of servers."""

    authority: Path
    right: ssl.SSLContext
    other_name: ssl.SSLContext
    unknown: ssl.SSLContext


def make_certificates(folder: Path) -> Certificates:
    """An authority that signs for this machine, one for another name, and one signed by a stranger."""
    folder.mkdir(parents=True, exist_ok=True)
    right = _self_signed(folder, "right", "IP:127.0.0.1")
    other = _self_signed(folder, "other", "DNS:other.example")
    unknown = _self_signed(folder, "unknown", "IP:127.0.0.1")
    trusted = folder / "authority.pem"
    trusted.write_text((folder / "right.pem").read_text() + (folder / "other.pem").read_text())
    return Certificates(trusted, right, other, unknown)


def _self_signed(folder: Path, name: str, subject: str) -> ssl.SSLContext:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    about = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *kind, *about, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
