"""Certificates of a border with https: a good one, and one for each way in which a certificate can be wrong."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ami_process.authority import Authority

HOSTS = ("127.0.0.1", "localhost")
LONG_AGO = timedelta(days=400)


class Certificates:
    """Made in a directory of the system's own; `authority` (PEM) is whom clients have to trust."""

    def __init__(self, directory: Path) -> None:
        now = datetime.now(UTC)
        good, strange = Authority(directory / "authority"), Authority(directory / "strangers")
        good.init("CIM border of a test", now - 2 * LONG_AGO, days=3650)
        strange.init("an authority that nobody knows", now)
        good.issue("border", HOSTS, now)
        good.issue("elsewhere", ("elsewhere.example",), now)
        good.issue("expired", HOSTS, now - LONG_AGO, days=1)
        strange.issue("border", HOSTS, now)
        self.authority = directory / "authority" / "ca.pem"
        self._contexts = {
            "good": _context(good, "border"),
            "wrong-name": _context(good, "elsewhere"),
            "expired": _context(good, "expired"),
            "unknown-issuer": _context(strange, "border"),
        }

    def context(self, which: str) -> ssl.SSLContext:
        """Of a server that shows the certificate of this kind."""
        return self._contexts[which]


def _context(authority: Authority, name: str) -> ssl.SSLContext:
    files = authority.directory / f"exported-{name}"
    authority.export(name, files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files / "certificate.pem", files / "key.pem")
    return context
