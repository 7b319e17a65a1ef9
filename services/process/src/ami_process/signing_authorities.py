"""Who signs the certificates with which messages are signed: authorities and lists of revoked certificates (PEM), read again when a file changes.

The same files as those of TLS do, and the same rules: a list that has expired refuses everybody whom its authority has certified.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ami_process.settings import SettingsError
from ami_process.tls import PeerCertificate

if TYPE_CHECKING:
    from cryptography import x509

MAX_FILE = 16_000_000
_LIST = re.compile(b"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
DEPTH = 4
"""Certificates between one and its authority."""


class NotTrusted(Exception):
    """A certificate is not taken; the text says why."""


class _Read(NamedTuple):
    authorities: "Sequence[x509.Certificate]"
    lists: "Sequence[x509.CertificateRevocationList] | None"


class SigningAuthorities:
    """Those of one process."""

    def __init__(self, authorities: Path, revoked: Path | None, setting: str) -> None:
        """Raises SettingsError for files that can't be used."""
        self._authorities, self._revoked, self._setting = authorities, revoked, setting
        self._stamps = self._look()
        self._files = self._read()

    def check(self, certificate: bytes, now: datetime) -> PeerCertificate:
        """Whose this certificate (DER) is; raises NotTrusted."""
        from cryptography import x509
        from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

        authorities, lists = self._current()
        leaf = x509.load_der_x509_certificate(certificate)
        policy = PolicyBuilder().store(Store(list(authorities))).time(now.astimezone(UTC)).max_chain_depth(DEPTH)
        try:
            chain = policy.build_client_verifier().verify(leaf, []).chain
        except (VerificationError, ValueError) as problem:
            raise NotTrusted(f"the certificate is not taken: {problem}") from None
        if lists is not None:
            _check_revoked(leaf, chain[1] if len(chain) > 1 else leaf, lists, now)
        return _peer(leaf, certificate)

    def _current(self) -> _Read:
        stamps = self._look()
        if stamps != self._stamps:
            self._stamps = stamps
            self._files = self._kept_or_new()
        return self._files

    def _kept_or_new(self) -> _Read:
        try:
            return self._read()
        except SettingsError:  # of two files one may be written and the other one not yet
            self._stamps = ()
            return self._files

    def _read(self) -> _Read:
        from cryptography import x509

        try:
            authorities = x509.load_pem_x509_certificates(_octets(self._authorities))
            found = None if self._revoked is None else _LIST.findall(_octets(self._revoked))
            return _Read(authorities, None if found is None else [x509.load_pem_x509_crl(one) for one in found])
        except (OSError, ValueError) as problem:
            raise SettingsError(f"{self._setting}: authorities or revoked can't be used: {problem}") from None

    def _look(self) -> tuple[object, ...]:
        return tuple(_stamp(one) for one in (self._authorities, self._revoked) if one is not None)


def _check_revoked(
    leaf: "x509.Certificate",
    issuer: "x509.Certificate",
    lists: "Sequence[x509.CertificateRevocationList]",
    now: datetime,
) -> None:
    listed = [one for one in lists if one.issuer == leaf.issuer and one.is_signature_valid(issuer.public_key())]  # type: ignore[arg-type]
    if not listed:
        raise NotTrusted("there is no revocation list of its authority")
    current = [one for one in listed if one.next_update_utc is None or one.next_update_utc > now]
    if not current:
        raise NotTrusted("the revocation list of its authority has expired")
    if any(one.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None for one in current):
        raise NotTrusted("the certificate is revoked")


def _peer(leaf: "x509.Certificate", octets: bytes) -> PeerCertificate:
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    hosts = [f"DNS:{one}" for one in names.get_values_for_type(x509.DNSName)]
    addresses = [f"IP Address:{one}" for one in names.get_values_for_type(x509.IPAddress)]
    return PeerCertificate(leaf.subject.rfc4514_string(), (*hosts, *addresses), sha256(octets).hexdigest())


def _octets(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_FILE)


def _stamp(file: Path) -> object:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
