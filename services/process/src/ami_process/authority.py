"""A certificate authority for tests and small set-ups, as files of one directory: X.509 v3 certificates (RFC 5280) with EC keys (P-256).

`ca.pem`, `ca.key` and `ca.crl` are the authority's: certificate, private key, list of revoked certificates. `NAME.pem` and `NAME.key` are
what it has issued. A certificate serves for servers and clients alike, because CIS and HES are both. Keys are for their owner alone, and
nothing is overwritten but by `renew`. Who has `ca.key` can be anybody: an authority for more than tests keeps its key in hardware.
"""

import os
import re
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ami_process.private_files import make_private_file, read_private, replace_private_file
from ami_process.settings import SettingsError

AUTHORITY = "ca"
DAYS = 397
AUTHORITY_DAYS = 3_650
LIST_DAYS = 397
"""A revocation list that is older refuses everybody, so it is not short."""
MAX_KEY_FILE = 10_000
BACKDATED = timedelta(minutes=5)
"""Clocks of peers may be that slow."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_PUBLIC = 0o644


class PkiError(Exception):
    """It can't be done; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate as a person wants to see it."""

    name: str
    hosts: tuple[str, ...]
    serial: int
    not_before: datetime
    not_after: datetime
    revoked: bool


class Authority:
    """The directory of an authority."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def exists(self) -> bool:
        """Whether there is one already."""
        return self._file(AUTHORITY, "pem").exists()

    def init(self, subject: str, now: datetime, days: int = AUTHORITY_DAYS) -> None:
        """Make its key, its certificate and an empty list of revoked ones."""
        self._must_be_new(AUTHORITY)
        key = self._new_key(AUTHORITY)
        self._sign_itself(key, _named(subject), now, days)
        self._write_list(key, [], now)

    def issue(self, name: str, hosts: Collection[str], now: datetime, days: int = DAYS) -> Issued:
        """A key and a certificate with these names and addresses, besides its own name."""
        self._check_name(name)
        self._must_be_new(name)
        alternatives = _alternatives((name, *hosts))
        issuer, issuer_key = self._issuer()
        key = self._new_key(name)
        self._sign(name, key, (issuer, issuer_key), alternatives, now, timedelta(days=days))
        return self.look_up(name)

    def renew(self, name: str, now: datetime) -> Issued:
        """A new key and certificate with the same names, for as long as the last; the authority's keeps its key."""
        last = self._certificate(name)
        lifetime = last.not_valid_after_utc - last.not_valid_before_utc - BACKDATED
        if name == AUTHORITY:
            self._sign_itself(self._key(AUTHORITY), last.subject, now, max(1, lifetime.days), replace=True)
            return self.look_up(name)
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self._issuer()
        alternatives = last.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self._keep_key(name, key, replace=True)
        self._sign(name, key, issuer, alternatives, now, lifetime, replace=True)
        return self.look_up(name)

    def revoke(self, name: str, now: datetime) -> Issued:
        """Put a certificate on the list; whoever reads the list refuses it from its next handshake on."""
        self._check_name(name)
        certificate = self._certificate(name)
        revoked = list(self._list())
        if certificate.serial_number not in {one.serial_number for one in revoked}:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
            revoked.append(entry.build())
        self._write_list(self._key(AUTHORITY), revoked, now, replace=True)
        return self.look_up(name)

    def refresh_list(self, now: datetime) -> None:
        """The same list for another year."""
        self._write_list(self._key(AUTHORITY), list(self._list()), now, replace=True)

    def export(self, name: str, into: Path) -> None:
        """Copy what the process of this name needs, and nothing else: the files that a section `[*.tls]` names."""
        public = {f"{name}.pem": "certificate.pem", "ca.pem": "authorities.pem", "ca.crl": "revoked.pem"}
        key = self._read_key(name)
        try:
            into.mkdir(parents=True, exist_ok=True)
            replace_private_file(into / "key.pem", "export", key)
        except (SettingsError, OSError) as problem:
            raise PkiError(str(problem)) from None
        for file, copy in public.items():
            _write_public(into / copy, self._read(self.directory / file), replace=True)

    def list_ends_at(self) -> datetime | None:
        """When the list of revoked certificates has to be renewed."""
        return self._list().next_update_utc

    def issued(self) -> list[Issued]:
        """All certificates, the authority's first."""
        found = sorted(file.stem for file in self.directory.glob("*.pem"))
        return [self.look_up(name) for name in sorted(found, key=lambda name: name != AUTHORITY)]

    def look_up(self, name: str) -> Issued:
        """One certificate."""
        certificate = self._certificate(name)
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = x509.SubjectAlternativeName([])
        serial = certificate.serial_number
        revoked = self._list().get_revoked_certificate_by_serial_number(serial) is not None
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return Issued(name, tuple(str(one.value) for one in names), serial, begin, end, revoked)

    def _check_name(self, name: str) -> None:
        if _NAME.fullmatch(name) is None or name == AUTHORITY:
            raise PkiError(f"{name[:80]!r} is no name of a certificate: letters, digits, - _ . and not {AUTHORITY}")

    def _must_be_new(self, name: str) -> None:
        for kind in ("pem", "key"):
            if self._file(name, kind).exists():
                raise PkiError(f"{self._file(name, kind)} is there already, and stays; `renew` replaces a certificate")

    def _file(self, name: str, kind: str) -> Path:
        return self.directory / f"{name}.{kind}"

    def _read(self, file: Path) -> bytes:
        try:
            return file.read_bytes()
        except FileNotFoundError:
            what = "is no authority: make one with `init`" if not self.exists else f"has no {file.name}"
            raise PkiError(f"{self.directory} {what}") from None
        except OSError as problem:
            raise PkiError(f"{file} can't be read: {problem.strerror}") from None

    def _certificate(self, name: str) -> x509.Certificate:
        file = self._file(name, "pem")
        try:
            return x509.load_pem_x509_certificate(self._read(file))
        except ValueError:
            raise PkiError(f"{file} is no certificate") from None

    def _list(self) -> x509.CertificateRevocationList:
        file = self._file(AUTHORITY, "crl")
        try:
            return x509.load_pem_x509_crl(self._read(file))
        except ValueError:
            raise PkiError(f"{file} is no list of revoked certificates") from None

    def _issuer(self) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
        return self._certificate(AUTHORITY).subject, self._key(AUTHORITY)

    def _read_key(self, name: str) -> str:
        file = self._file(name, "key")
        if not file.exists():
            self._read(file)
        try:
            return read_private(file, "key", "a private key", MAX_KEY_FILE)
        except SettingsError as problem:
            raise PkiError(str(problem)) from None

    def _key(self, name: str) -> ec.EllipticCurvePrivateKey:
        try:
            key = serialization.load_pem_private_key(self._read_key(name).encode(), password=None)
        except (ValueError, TypeError):
            raise PkiError(f"{self._file(name, 'key')} is no private key without a password") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise PkiError(f"{self._file(name, 'key')} is no key of an elliptic curve")
        return key

    def _new_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        self._keep_key(name, key)
        return key

    def _keep_key(self, name: str, key: ec.EllipticCurvePrivateKey, *, replace: bool = False) -> None:
        no_password = serialization.NoEncryption()
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
        keep = replace_private_file if replace else make_private_file
        try:
            keep(self._file(name, "key"), "key", text.decode())
        except SettingsError as problem:
            raise PkiError(str(problem)) from None

    def _sign_itself(
        self, key: ec.EllipticCurvePrivateKey, subject: x509.Name, now: datetime, days: int, *, replace: bool = False
    ) -> None:
        builder = _builder(key, subject, subject, now, timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        self._keep(AUTHORITY, builder.sign(key, hashes.SHA256()), replace=replace)

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey],
        alternatives: x509.SubjectAlternativeName,
        now: datetime,
        lifetime: timedelta,
        *,
        replace: bool = False,
    ) -> None:
        issuer_name, issuer_key = issuer
        builder = _builder(key, _named(name), issuer_name, now, lifetime)
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(digital_signature=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
            (alternatives, False),
        ):
            builder = builder.add_extension(extension, critical)
        self._keep(name, builder.sign(issuer_key, hashes.SHA256()), replace=replace)

    def _keep(self, name: str, certificate: x509.Certificate, *, replace: bool) -> None:
        octets = certificate.public_bytes(serialization.Encoding.PEM)
        _write_public(self._file(name, "pem"), octets, replace=replace)

    def _write_list(
        self,
        key: ec.EllipticCurvePrivateKey,
        revoked: Sequence[x509.RevokedCertificate],
        now: datetime,
        *,
        replace: bool = False,
    ) -> None:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._certificate(AUTHORITY).subject)
        builder = builder.last_update(now - BACKDATED).next_update(now + timedelta(days=LIST_DAYS))
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        builder = builder.add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        for one in revoked:
            builder = builder.add_revoked_certificate(one)
        octets = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        _write_public(self._file(AUTHORITY, "crl"), octets, replace=replace)


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - BACKDATED).not_valid_after(now + lifetime)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


_NO_USAGE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


def _usage(**allowed: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**(_NO_USAGE | allowed))


def _named(name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    except ValueError as problem:
        raise PkiError(f"{name[:80]!r} can't be the subject of a certificate: {problem}") from None


def _alternatives(hosts: Collection[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_alternative(host) for host in dict.fromkeys(hosts)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    if _NAME.fullmatch(host) is None and re.fullmatch(r"[A-Za-z0-9.-]{1,253}", host) is None:
        raise PkiError(f"{host[:80]!r} is neither a host name nor an IP address")
    return x509.DNSName(host)


def _write_public(file: Path, octets: bytes, *, replace: bool) -> None:
    """The whole file or none."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
        written = Path(name)
        with os.fdopen(descriptor, "wb") as made:
            made.write(octets)
        written.chmod(_PUBLIC)
        (partial(written.replace, file) if replace else partial(_move, written, file))()
    except OSError as problem:
        raise PkiError(f"{file} can't be written: {problem.strerror}") from None


def _move(written: Path, file: Path) -> None:
    try:
        file.hardlink_to(written)
    finally:
        written.unlink()
