"""Attacks on a signed message, by what they do to the tree of one that is right: what the refusal says, and its faultcode.

Known variants of signature wrapping (McIntosh and Austel, 2005, and what was found since), doubled Ids, other algorithms, keys from elsewhere.
`tests/cim/test_wsse.py` tries each on the reader, `tests/attacks` on a head-end at work.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lxml import etree

from ami_cim import ns
from ami_cim.wsse import SECURITY

SOAP, WSSE, WSU, DS = (f"{{{one}}}" for one in (ns.SOAP, ns.WSSE, ns.WSU, ns.DSIG))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Tree = etree._Element
Attack = Callable[[Tree], None]
ATTACKS: dict[str, tuple[Attack, str, str]] = {}


def attack(says: str, fault: str) -> Callable[[Attack], Attack]:
    def kept(function: Attack) -> Attack:
        ATTACKS[function.__name__] = function, says, fault
        return function

    return kept


def parts(root: Tree) -> tuple[Tree, Tree, Tree]:
    """Header, Security, Body."""
    header, body = root.find(f"{SOAP}Header"), root.find(f"{SOAP}Body")
    assert header is not None and body is not None
    return header, header[0], body


def other_body(body: Tree) -> Tree:
    """The Body of a message, as a copy made into that of another one that asks for the same."""
    body = deepcopy(body)
    del body.attrib[f"{WSU}Id"]
    next(body.iter(f"{{{ns.MESSAGE}}}MessageID")).text = "evil"
    return body


@attack("does not hold", "wsse:FailedCheck")
def the_body_is_changed(root: Tree) -> None:
    next(root.iter(f"{{{ns.MESSAGE}}}Verb")).text = "change"


@attack("does not hold", "wsse:FailedCheck")
def the_timestamp_is_renewed(root: Tree) -> None:
    next(root.iter(f"{WSU}Expires")).text = "2036-01-01T00:00:00Z"


@attack("The Body of the message is not what was signed", "wsse:FailedCheck")
def the_signed_body_is_wrapped_into_the_header(root: Tree) -> None:
    header, _, body = parts(root)
    etree.SubElement(header, "Wrapper").append(body)
    root.append(other_body(body))


@attack("The Body of the message is not what was signed", "wsse:FailedCheck")
def the_signed_body_stands_beside_security(root: Tree) -> None:
    header, _, body = parts(root)
    header.append(body)
    root.append(other_body(body))


@attack("same Id", "wsse:InvalidSecurity")
def the_id_of_the_body_is_there_twice(root: Tree) -> None:
    header, _, body = parts(root)
    evil = other_body(body)
    evil.set(f"{WSU}Id", body.get(f"{WSU}Id") or "")
    etree.SubElement(header, "Wrapper").append(body)
    root.append(evil)


@attack("same Id", "wsse:InvalidSecurity")
def the_id_of_the_body_is_there_as_id_without_namespace(root: Tree) -> None:
    header, _, body = parts(root)
    etree.SubElement(header, "Wrapper", ID=body.get(f"{WSU}Id") or "")


@attack("Embedded is not read here", "wsse:UnsupportedSecurityToken")
def the_signed_body_is_wrapped_into_security(root: Tree) -> None:
    _, security, body = parts(root)
    evil = other_body(body)
    etree.SubElement(security, f"{WSSE}Embedded").append(body)
    root.append(evil)


@attack("The Body of the message is not what was signed", "wsse:FailedCheck")
def the_signed_body_is_wrapped_into_another_body(root: Tree) -> None:
    body = parts(root)[2]
    evil = other_body(body)
    root.append(evil)
    evil.append(body)


@attack("The Body of the message is not what was signed", "wsse:FailedCheck")
def the_signed_body_is_an_object_of_the_signature(root: Tree) -> None:
    _, security, body = parts(root)
    evil = other_body(body)
    etree.SubElement(security[-1], f"{DS}Object").append(body)
    root.append(evil)


@attack("one Header of a SOAP 1.1 envelope with one Body", "wsse:InvalidSecurity")
def the_signed_body_stands_behind_another_one(root: Tree) -> None:
    root.insert(1, other_body(parts(root)[2]))


@attack("several Security headers", "wsse:InvalidSecurity")
def the_envelope_is_wrapped_into_another_one(root: Tree) -> None:
    evil = other_body(parts(root)[2])
    whole = deepcopy(root)
    for child in list(root):
        root.remove(child)
    etree.SubElement(root, f"{SOAP}Header").append(deepcopy(parts(whole)[1]))
    root.append(evil)
    root.append(whole)


@attack("The Body of the message is not what was signed", "wsse:FailedCheck")
def the_id_is_moved_to_the_content_of_the_body(root: Tree) -> None:
    body = parts(root)[2]
    body[0].set(f"{WSU}Id", body.attrib.pop(f"{WSU}Id"))


@attack("does not hold", "wsse:FailedCheck")
def the_digest_is_that_of_another_body(root: Tree) -> None:
    """Its digest is right, and what was signed is not this digest."""
    body = parts(root)[2]
    next(body.iter(f"{{{ns.MESSAGE}}}MessageID")).text = "evil"
    octets = etree.tostring(body, method="c14n", exclusive=True)
    reference = next(one for one in root.iter(f"{DS}Reference") if one.get("URI") == f"#{body.get(f'{WSU}Id')}")
    next(reference.iter(f"{DS}DigestValue")).text = base64.b64encode(sha256(octets).digest()).decode()


@attack("one Header of a SOAP 1.1 envelope with one Body", "wsse:InvalidSecurity")
def there_is_a_second_body(root: Tree) -> None:
    root.append(other_body(parts(root)[2]))


@attack("one Header of a SOAP 1.1 envelope with one Body", "wsse:InvalidSecurity")
def there_is_a_second_header(root: Tree) -> None:
    root.insert(1, etree.Element(f"{SOAP}Header"))


@attack("several Security headers", "wsse:InvalidSecurity")
def there_is_a_second_security_header(root: Tree) -> None:
    header, security, _ = parts(root)
    header.append(deepcopy(security))


@attack("several Security headers", "wsse:InvalidSecurity")
def a_security_header_stands_in_the_body(root: Tree) -> None:
    parts(root)[2][0].append(etree.Element(SECURITY))


@attack("has to stand in the one Header", "wsse:InvalidSecurity")
def security_stands_elsewhere(root: Tree) -> None:
    _, security, body = parts(root)
    body[0].append(security)


@attack("no comments", "wsse:InvalidSecurity")
def a_comment_splits_a_text(root: Tree) -> None:
    verb = next(root.iter(f"{{{ns.MESSAGE}}}Verb"))
    verb.text = "g"
    comment = etree.Comment("canonical XML leaves it out")
    comment.tail = "et"
    verb.append(comment)


@attack("no comments and no processing instructions", "wsse:InvalidSecurity")
def there_is_a_processing_instruction(root: Tree) -> None:
    parts(root)[2][0].append(etree.ProcessingInstruction("xml-stylesheet", "x"))


@attack("The Timestamp of the message is not what was signed", "wsse:FailedCheck")
def the_timestamp_is_moved_out_and_a_new_one_put_in(root: Tree) -> None:
    header, security, _ = parts(root)
    fresh = deepcopy(security[0])
    fresh.set(f"{WSU}Id", "another")
    header.append(security[0])
    security.insert(0, fresh)


@attack("has Timestamp twice", "wsse:InvalidSecurity")
def there_are_two_timestamps(root: Tree) -> None:
    security = parts(root)[1]
    fresh = deepcopy(security[0])
    fresh.set(f"{WSU}Id", "another")
    security.insert(0, fresh)


@attack("has a Timestamp, and it is signed", "wsse:InvalidSecurity")
def there_is_no_timestamp(root: Tree) -> None:
    header, security, _ = parts(root)
    header.append(security[0])


@attack("The MessageID of the message is not what was signed", "wsse:FailedCheck")
def a_message_id_is_added(root: Tree) -> None:
    addressing = etree.SubElement(parts(root)[0], "{http://www.w3.org/2005/08/addressing}MessageID")
    addressing.text = "urn:uuid:1"


def algorithm(root: Tree, tag: str, value: str) -> None:
    next(root.iter(f"{DS}{tag}")).set("Algorithm", value)


@attack("DigestMethod has to be", "wsse:UnsupportedAlgorithm")
def the_digest_is_sha_1(root: Tree) -> None:
    algorithm(root, "DigestMethod", "http://www.w3.org/2000/09/xmldsig#sha1")


@attack("SignatureMethod has to be", "wsse:UnsupportedAlgorithm")
def the_signature_is_with_sha_1(root: Tree) -> None:
    algorithm(root, "SignatureMethod", "http://www.w3.org/2000/09/xmldsig#rsa-sha1")


@attack("SignatureMethod has to be", "wsse:UnsupportedAlgorithm")
def the_signature_is_an_hmac(root: Tree) -> None:
    algorithm(root, "SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")


@attack("SignatureMethod has to be", "wsse:UnsupportedAlgorithm")
def the_signature_has_no_algorithm(root: Tree) -> None:
    del next(root.iter(f"{DS}SignatureMethod")).attrib["Algorithm"]


@attack("can't be verified", "wsse:FailedCheck")
def the_signature_says_that_the_key_is_rsa(root: Tree) -> None:
    algorithm(root, "SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")


@attack("Transform has to be", "wsse:UnsupportedAlgorithm")
def a_transform_is_xpath(root: Tree) -> None:
    algorithm(root, "Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116")


@attack("Transform has to be", "wsse:UnsupportedAlgorithm")
def a_transform_is_inclusive(root: Tree) -> None:
    algorithm(root, "Transform", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")


@attack("one transform", "wsse:UnsupportedAlgorithm")
def there_are_more_transforms(root: Tree) -> None:
    transforms = next(root.iter(f"{DS}Transforms"))
    transforms.append(deepcopy(transforms[0]))


@attack("CanonicalizationMethod has to be", "wsse:UnsupportedAlgorithm")
def the_canonicalization_keeps_comments(root: Tree) -> None:
    algorithm(root, "CanonicalizationMethod", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments")


@attack("by their Id alone", "wsse:InvalidSecurity")
def a_reference_leads_outside(root: Tree) -> None:
    next(root.iter(f"{DS}Reference")).set("URI", "http://127.0.0.1:1/evil.xml")


@attack("by their Id alone", "wsse:InvalidSecurity")
def a_reference_is_to_the_whole_document(root: Tree) -> None:
    next(root.iter(f"{DS}Reference")).set("URI", "")


@attack("Nothing in the message has an Id", "wsse:FailedCheck")
def a_reference_is_an_xpointer(root: Tree) -> None:
    next(root.iter(f"{DS}Reference")).set("URI", "#xpointer(/)")


@attack("1 to 10 references", "wsse:InvalidSecurity")
def there_are_many_references(root: Tree) -> None:
    info = next(root.iter(f"{DS}SignedInfo"))
    for _ in range(10):
        info.append(deepcopy(info[-1]))


@attack("does not hold", "wsse:FailedCheck")
def the_certificate_is_somebody_elses(root: Tree) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil")])
    made = x509.CertificateBuilder(name, name, other.public_key(), 1, NOW, NOW + timedelta(days=1)).sign(
        other, hashes.SHA256()
    )
    token = next(root.iter(f"{WSSE}BinarySecurityToken"))
    token.text = base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


@attack("none to its BinarySecurityToken", "wsse:SecurityTokenUnavailable")
def the_certificate_is_elsewhere(root: Tree) -> None:
    next(root.iter(f"{WSSE}Reference")).set("URI", "https://127.0.0.1:1/key.pem")


def key_info(root: Tree, text: str) -> None:
    info = next(root.iter(f"{DS}KeyInfo"))
    info[:] = [etree.fromstring(text.format(ds=ns.DSIG, wsse=ns.WSSE))]


@attack("has to be in the message", "wsse:SecurityTokenUnavailable")
def the_certificate_is_named_by_its_serial_number(root: Tree) -> None:
    inner = "<d:X509IssuerSerial><d:X509IssuerName>CN=a</d:X509IssuerName><d:X509SerialNumber>1</d:X509SerialNumber></d:X509IssuerSerial>"
    key_info(
        root,
        f'<w:SecurityTokenReference xmlns:w="{{wsse}}" xmlns:d="{{ds}}"><d:X509Data>{inner}</d:X509Data></w:SecurityTokenReference>',
    )


@attack("has to be in the message", "wsse:SecurityTokenUnavailable")
def the_certificate_is_named_by_its_key_identifier(root: Tree) -> None:
    key_info(
        root,
        '<w:SecurityTokenReference xmlns:w="{wsse}"><w:KeyIdentifier>AAAA</w:KeyIdentifier></w:SecurityTokenReference>',
    )


@attack("one SecurityTokenReference", "wsse:UnsupportedSecurityToken")
def the_key_is_a_value(root: Tree) -> None:
    key_info(root, '<d:KeyValue xmlns:d="{ds}"/>')


@attack("one SecurityTokenReference", "wsse:UnsupportedSecurityToken")
def the_key_is_to_be_retrieved(root: Tree) -> None:
    key_info(root, '<d:RetrievalMethod xmlns:d="{ds}" URI="http://127.0.0.1:1/"/>')


@attack("is not base64", "wsse:InvalidSecurityToken")
def the_certificate_is_no_base64(root: Tree) -> None:
    next(root.iter(f"{WSSE}BinarySecurityToken")).text = "!!!"


@attack("certificate can't be read", "wsse:InvalidSecurityToken")
def the_certificate_is_nonsense(root: Tree) -> None:
    next(root.iter(f"{WSSE}BinarySecurityToken")).text = "AAAA"


@attack("has Signature twice", "wsse:InvalidSecurity")
def there_are_two_signatures(root: Tree) -> None:
    security = parts(root)[1]
    security.append(deepcopy(security[-1]))


@attack("Assertion is not read here", "wsse:UnsupportedSecurityToken")
def there_is_a_token_of_another_kind(root: Tree) -> None:
    etree.SubElement(parts(root)[1], "{urn:oasis:names:tc:SAML:2.0:assertion}Assertion")


@attack("one Created", "wsse:InvalidSecurity")
def the_timestamp_has_no_created(root: Tree) -> None:
    timestamp = parts(root)[1][0]
    timestamp.remove(timestamp[0])


@attack("Not a date and time", "Client")
def the_timestamp_is_no_time(root: Tree) -> None:
    parts(root)[1][0][0].text = "now"
