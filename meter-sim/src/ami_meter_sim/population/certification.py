"""The certificates of a population of suite 1 or 2: an authority of its own, and what it has issued to each meter.

Strategy: all of it follows from the seed, the octets of signatures included (RFC 6979), so a certificate is made when somebody asks
for it and is the same in the shipment file and in the meter. A certificate names its subject by the system title, as the DLMS UA's
profile does (Green Book 9.2.6.4), and is valid for as long as X.509 can say: the clock of a meter is set by clients as well.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ami_dlms.security import PrivateKey, PublicKey, SecuritySuite
from ami_dlms.security.keys import SUITE_1, SUITE_2
from ami_meter_sim.population.identity import Identities, KeyPurpose

BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
NEVER_ENDS = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The end of what has no end (RFC 5280, 4.1.2.5)."""
HASHES: dict[SecuritySuite, hashes.SHA256 | hashes.SHA384] = {SUITE_1: hashes.SHA256(), SUITE_2: hashes.SHA384()}
OF_THE_AUTHORITY = 1
"""Serial number of its own certificate; those of a meter follow from its place."""


class Certificates(NamedTuple):
    """Of one meter, in DER."""

    signature: bytes
    agreement: bytes


@dataclass(frozen=True)
class Certification:
    """The authority of a population. LocalError for a suite without key pairs."""

    identities: Identities
    suite: SecuritySuite

    def of(self, index: int) -> Certificates:
        """What it has issued to a meter: for its signatures, and for key agreement."""
        signing, agreement = (
            self.identities.private_key(index, one, self.suite) for one in (KeyPurpose.SIGNING, KeyPurpose.AGREEMENT)
        )
        title = self.identities.system_title(index)
        first = OF_THE_AUTHORITY + 1 + 2 * index
        return Certificates(
            self._issued(title, signing.public_key, first, _usage(digital_signature=True)),
            self._issued(title, agreement.public_key, first + 1, _usage(key_agreement=True)),
        )

    @cached_property
    def authority(self) -> bytes:
        """Its own certificate, signed by itself."""
        key = self._key.public_key
        builder = self._builder(self._name, key, OF_THE_AUTHORITY, _usage(key_cert_sign=True))
        return self._signed(builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True))

    @cached_property
    def _key(self) -> PrivateKey:
        return self.identities.authority_key(self.suite)

    @cached_property
    def _name(self) -> x509.Name:
        return _named(f"{self.identities.manufacturer} meters, certification authority of suite {self.suite:d}")

    def _issued(self, title: bytes, key: PublicKey, serial: int, usage: x509.KeyUsage) -> bytes:
        return self._signed(self._builder(_named(title.hex().upper()), key, serial, usage))

    def _builder(
        self, subject: x509.Name, key: PublicKey, serial: int, usage: x509.KeyUsage
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(self._name, subject, key.point, serial, BEGINS, NEVER_ENDS)
        return builder.add_extension(usage, critical=True)

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        made = builder.sign(self._key.number, HASHES[self.suite], ecdsa_deterministic=True)
        return made.public_bytes(Encoding.DER)


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(
    *, digital_signature: bool = False, key_agreement: bool = False, key_cert_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
