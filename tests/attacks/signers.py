"""Who signs and who shows passwords at a head-end that asks for it: their authority, certificates and principals; and a client of zeep that signs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import xmlsec
from lxml import etree
from zeep.wsse import utils
from zeep.wsse.signature import BinarySignature

from ami_cim import ns
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.wsse import SecurityReading, load_signer
from ami_process.authority import Authority
from ami_process.message_security import SealedHeader
from ami_process.private_files import make_private_file

PASSWORD = "correct horse battery staple"
FORM = SecurityReading(UNKNOWN_PEER)


def prepared(directory: Path) -> Mapping[str, Any]:
    """Settings of the HES: the CIS signs and switches, the MDM signs and reads, billing and switching show passwords."""
    authority, now = Authority(directory / "pki"), datetime.now(UTC)
    authority.init("test", now)
    for name in ("cis", "mdm"):
        authority.issue(name, [f"{name}.example"], now)
    make_private_file(directory / "password", "x", PASSWORD + "\n")
    secret = f'password = "file:{directory}/password"'
    principals = directory / "signers.toml"
    principals.write_text(
        '[[principals]]\nname = "the CIS"\nroles = ["controller", "operator"]\ncertificate = "DNS:cis.example"\n'
        '[[principals]]\nname = "the MDM"\nroles = ["operator"]\ncertificate = "DNS:mdm.example"\n'
        f'[[principals]]\nname = "billing"\nroles = ["reader"]\nusername = "billing"\n{secret}\n'
        f'[[principals]]\nname = "switching"\nroles = ["controller"]\nusername = "switching"\n{secret}\n'
    )
    principals.chmod(0o644)
    files = {"authorities": str(directory / "pki/ca.pem"), "revoked": str(directory / "pki/ca.crl")}
    return {"principals": str(principals), "message_security": {"mode": "required"} | files}


def sealed(directory: Path, body: bytes, signer: str | None = "cis", **more: Any) -> bytes:
    """A message as we seal it, now."""
    now = more.pop("now", None) or datetime.now(UTC)
    files = [(directory / f"pki/{signer}.{end}").read_bytes() for end in ("pem", "key")] if signer else []
    header = SealedHeader(
        created_at=now,
        expires_at=now + timedelta(seconds=60),
        chance=uuid.uuid4().bytes * 2,
        signer=load_signer(*files) if files else None,
    )
    return FORM.seal(body, replace(header, **more))


class Signing:
    """A Security header with Timestamp and signature, by zeep and xmlsec."""

    def __init__(
        self, directory: Path, method: Any = xmlsec.Transform.ECDSA_SHA256, digest: Any = xmlsec.Transform.SHA256
    ) -> None:
        pki = directory / "pki"
        self._sign = BinarySignature(str(pki / "cis.key"), str(pki / "cis.pem"), None, method, digest)

    def apply(self, envelope: Any, headers: Any) -> Any:
        """For zeep."""
        timestamp = etree.SubElement(utils.get_security_header(envelope), f"{{{ns.WSU}}}Timestamp")
        now = datetime.now(UTC)
        for name, moment in (("Created", now), ("Expires", now + timedelta(seconds=30))):
            etree.SubElement(timestamp, f"{{{ns.WSU}}}{name}").text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._sign.apply(envelope, headers)

    def verify(self, envelope: Any) -> Any:
        """Answers are not signed here."""
        return envelope


def signing(directory: Path) -> Signing:
    """The well-behaved client's."""
    return Signing(directory)
