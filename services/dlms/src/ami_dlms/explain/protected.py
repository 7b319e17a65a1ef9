"""What is inside other APDUs: user-information, ciphered contents, signed ones; deciphered where the keys are known.

A content is taken apart into security control, invocation counter, body and tag, which are leaves like any other. What a
body deciphers to is a tree of its own, together with how that went: which title was used, and whether the tag holds.
"""

from __future__ import annotations

from collections.abc import Iterator

from ami_dlms.apdu.acse import Aare, Aarq
from ami_dlms.apdu.ciphered import (
    AgreedKey,
    GeneralCiphering,
    GeneralDedCiphering,
    GeneralGloCiphering,
    GeneralSigning,
    ServiceCiphering,
    WrappedKey,
)
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.enums import ApduTag
from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.explain import texts
from ami_dlms.explain.apdus import read_apdu
from ami_dlms.explain.key_information import (
    ONE_PASS,
    NoKey,
    ephemeral_verdict,
    header_octets,
    key_of,
    signature_verdict,
)
from ami_dlms.explain.keyring import DecodingSession, Title
from ami_dlms.explain.node import MISSING, Derived, Node, fill, is_sound
from ami_dlms.explain.pushes import describe_push
from ami_dlms.explain.reassembly import TOGETHER, whole_apdu, whole_value
from ami_dlms.explain.summaries import CIPHERED
from ami_dlms.security import AUTHENTICATED, COMPRESSED, ENCRYPTED, GlobalKeys, SecurityControl, unprotect
from ami_dlms.security.aead import HEADER_LENGTH, TAG_LENGTH

MOST_LAYERS = 32
"""APDUs in APDUs: three or four are enough for any use, and an attacker has room for thousands."""
VERDICTS = {True: "holds", False: "does not hold", None: "not checked: no public key, give --signature-key"}
FROM_SERVER = frozenset(
    tag for tag in ApduTag if tag.name.endswith(("RESPONSE", "CONFIRMED_SERVICE_ERROR")) or "NOTIFICATION" in tag.name
) | {ApduTag.AARE, ApduTag.RLRE, ApduTag.GLO_INFORMATION_REPORT_REQUEST, ApduTag.DED_INFORMATION_REPORT_REQUEST}


def read_message(octets: bytes, start: int, session: DecodingSession, title: Title | None = None) -> Node:
    """The tree of an APDU with everything inside it; `title` is its sender's, when what is around it says so."""
    root = read_apdu(octets, start)
    if session.layers >= MOST_LAYERS:
        root.trouble = root.trouble or f"more than {MOST_LAYERS} APDUs one in the other"
        return root
    session.layers += 1
    _read_inside(root, session, title)
    session.layers -= 1
    return root


def _read_inside(root: Node, session: DecodingSession, title: Title | None) -> None:
    value = root.value
    if isinstance(value, Aarq) and value.calling_ap_title:
        session.client = title = Title(value.calling_ap_title, "calling_ap_title of the AARQ")
    if isinstance(value, Aare) and value.responding_ap_title:
        session.server = title = Title(value.responding_ap_title, "responding_ap_title of the AARE")
    if isinstance(value, InitiateRequest) and value.dedicated_key:
        session.dedicated_key = value.dedicated_key
    information = root.part("user_information")
    if information is not None and information.value:
        _embed(information, session, title, "tag_length")
    content = root.part("content")
    if content is not None and isinstance(value, GeneralSigning) and content.value:
        _embed(content, session, Title(value.originator_system_title, "originator_system_title"), "length")
    if isinstance(value, GeneralSigning):
        _check_signature(root, value, session)
    if content is not None and isinstance(value, CIPHERED):
        _open(root, content, session, title)
    _assemble(root, session, title)
    describe_push(root)


def _assemble(root: Node, session: DecodingSession, title: Title | None) -> None:
    """What the last block of a long transfer completes."""
    if (derived := whole_value(root, session)) is not None:
        root.derived.append(derived)
    if (octets := whole_apdu(root.value, session)) is not None:
        root.derived.append(Derived(TOGETHER, True, read_message(octets, 0, session, title)))


def _embed(node: Node, session: DecodingSession, title: Title | None, framing: str) -> None:
    """Octets that are an APDU, at the end of those of the field."""
    start = node.end - len(node.value)
    inner = read_message(node.value, start, session, title)
    node.parts, node.text = [inner], inner.text
    fill(node, framing)


def _open(root: Node, node: Node, session: DecodingSession, title: Title | None) -> None:
    """Take a ciphered content apart, and decipher it if that is possible."""
    content: bytes = node.value
    if len(content) < HEADER_LENGTH:
        node.trouble = f"a ciphered content has at least {HEADER_LENGTH} octets, got {len(content)}"
        return
    control = content[0]
    if control & AUTHENTICATED and len(content) < HEADER_LENGTH + TAG_LENGTH:
        node.trouble = f"an authenticated content has at least {HEADER_LENGTH + TAG_LENGTH} octets, got {len(content)}"
        return
    node.text = _control_words(control)
    _take_apart(node, content, session, _sender(root, title))
    _decipher(root, node, session, _sender(root, title))


def _take_apart(node: Node, content: bytes, session: DecodingSession, title: Title | None) -> None:
    start, control = node.end - len(content), content[0]
    counter = content[1:HEADER_LENGTH]
    tag_at = len(content) - (TAG_LENGTH if control & AUTHENTICATED else 0)
    body = content[HEADER_LENGTH:tag_at]
    node.parts = [
        _octets("security_control", start, content[:1], _control_words(control)),
        _octets("invocation_counter", start + 1, counter, str(int.from_bytes(counter, "big"))),
    ]
    if control & ENCRYPTED or not body:
        node.parts.append(_octets("ciphertext", start + HEADER_LENGTH, body, texts.octets(body)))
    else:
        node.parts.append(read_message(body, start + HEADER_LENGTH, session, title))
    if control & AUTHENTICATED:
        node.parts.append(_octets("authentication_tag", start + tag_at, content[tag_at:], ""))
    fill(node, "length")


def _octets(name: str, start: int, octets: bytes, text: str) -> Node:
    return Node(name, start, octets, "octets", octets, text)


def _control_words(octet: int) -> str:
    try:
        control = SecurityControl.from_octet(octet)
    except SecurityError as error:
        return str(error)
    found = [word for word in ("authenticated", "encrypted", "compressed") if getattr(control, word)]
    protection = " and ".join(found) or "neither authenticated nor encrypted"
    return f"suite {control.suite:d}, {protection}, {'broadcast' if control.broadcast else 'unicast'} key"


def _sender(root: Node, title: Title | None) -> Title | None:
    """The title that the message itself bears, else that of what is around it."""
    value = root.value
    if isinstance(value, GeneralGloCiphering | GeneralDedCiphering) and value.system_title:
        return Title(value.system_title, "in the message")
    if isinstance(value, GeneralCiphering):
        return Title(value.originator_system_title, "originator_system_title")
    return title


def _decipher(root: Node, node: Node, session: DecodingSession, sender: Title | None) -> None:
    content: bytes = node.value
    keys, why_not = _keys_for(root, session)
    if not content[0] & (AUTHENTICATED | ENCRYPTED) or keys is None:
        _remark(node, why_not)
        return
    if content[0] & COMPRESSED:
        _remark(node, "not deciphered: compressed contents are not supported")
        return
    if not content[0] & ENCRYPTED and not session.keyring.can_verify:
        _remark(node, "not verified: no authentication key, give --ak")
        return
    titles = session.titles(sender, from_server=root.octets[0] in FROM_SERVER)
    if not titles:
        _remark(node, "not deciphered: no system title is known, give --title")
        return
    attempts = _attempts(root, content, keys, titles, session)
    best = _best(attempts, titles, verified=_is_verified(content, session))
    if best.good is False and content[0] & ENCRYPTED and _is_verified(content, session):
        best.how += f"; {_wrong_key(content, keys, titles)}"
    if best.good is False and _brings_its_key(root.value):
        best.how = ", ".join(word for word in (best.how, why_not) if word)
    node.derived.append(best)
    _mark_tag(node)


def _is_verified(content: bytes, session: DecodingSession) -> bool:
    return bool(content[0] & AUTHENTICATED) and session.keyring.can_verify


def _check_signature(root: Node, value: GeneralSigning, session: DecodingSession) -> None:
    verdict = signature_verdict(value, session.keyring.signature_keys)
    if (part := root.part("signature")) is not None:
        part.text = f"{texts.octets(value.signature)}, {VERDICTS[verdict]}"
    if verdict is not None:
        root.derived.append(Derived(f"the signature {VERDICTS[verdict]}", verdict))


def _keys_for(root: Node, session: DecodingSession) -> tuple[GlobalKeys | None, str]:
    value, keyring = root.value, session.keyring
    if _brings_its_key(value):
        return _keys_of_message(root, value, session)
    dedicated = isinstance(value, GeneralDedCiphering) or (
        isinstance(value, ServiceCiphering) and ApduTag(value.tag).name.startswith("DED_")
    )
    if dedicated:
        why_not = "not deciphered: no dedicated key is known, give --dedicated-key"
        return keyring.dedicated_keys(session.dedicated_key), why_not
    return keyring.global_keys(), "not deciphered: no encryption key, give --ek"


def _brings_its_key(value: object) -> bool:
    return isinstance(value, GeneralCiphering) and isinstance(value.key_info, WrappedKey | AgreedKey)


def _keys_of_message(root: Node, value: GeneralCiphering, session: DecodingSession) -> tuple[GlobalKeys | None, str]:
    """What wrapped the key or agreed on it opens it; the key itself may be given as encryption key as well."""
    keyring = session.keyring
    if isinstance(value.key_info, AgreedKey) and value.key_info.key_parameters == ONE_PASS:
        verdict = ephemeral_verdict(value.key_info, keyring.signature_keys)
        if verdict is not None:
            root.derived.append(Derived(f"the signature of the ephemeral key {VERDICTS[verdict]}", verdict))
    try:
        key = key_of(value, keyring)
        if key is not None:
            return keyring.keys_under(key), ""
    except (NoKey, LocalError) as error:
        return keyring.global_keys(), f"the key of this message can't be had: {error}"
    return None, ""


def _remark(node: Node, text: str) -> None:
    for name in ("ciphertext", "authentication_tag"):
        part = node.part(name)
        if part is not None and text:
            part.text = ", ".join(word for word in (part.text, text) if word)
            return


def _wrong_key(content: bytes, keys: GlobalKeys, titles: list[Title]) -> str:
    """Which of the two keys is another: the encryption key alone deciphers, the authentication key is in the tag alone."""
    for title in titles:
        message = read_apdu(unprotect(keys, title.octets, _without_tag(content)).plaintext)
        if message.type != MISSING:
            what = message.name.replace("_", "-")
            return f"the encryption key fits (it deciphers to a {what}), so the authentication key is another, or the tag was changed"
    return "it deciphers to no APDU, so the encryption key or the system title is another"


def _without_tag(content: bytes) -> bytes:
    return bytes((content[0] & ~AUTHENTICATED,)) + content[1:-TAG_LENGTH]


def _attempts(
    root: Node, content: bytes, keys: GlobalKeys, titles: list[Title], session: DecodingSession
) -> Iterator[Derived]:
    """Each title with which the content deciphers, and its tag holds if it can be checked."""
    attempted = content
    if content[0] & AUTHENTICATED and content[0] & ENCRYPTED and not session.keyring.can_verify:
        attempted = _without_tag(content)
    for title in titles:
        try:
            plaintext = unprotect(keys, title.octets, attempted, _context(root)).plaintext
        except SecurityError:
            continue
        yield _deciphered(content, plaintext, title, session)


def _context(root: Node) -> bytes:
    """What the tag of general-ciphering covers besides its content: the fields of its header with their lengths."""
    return header_octets(root.value) if isinstance(root.value, GeneralCiphering) else b""


def _deciphered(content: bytes, plaintext: bytes, title: Title, session: DecodingSession) -> Derived:
    verified = _is_verified(content, session)
    if not content[0] & ENCRYPTED:
        return Derived(f"the tag holds with title {title}", True)
    how = f"deciphered with title {title}"
    if verified:
        how = f"the tag holds; {how}"
    elif content[0] & AUTHENTICATED:
        how += "; not verified, there is no authentication key: give --ak"
    else:
        how += "; nothing verifies it, encryption alone has no tag"
    return Derived(how, True if verified else None, read_message(plaintext, 0, session, title))


def _best(attempts: Iterator[Derived], titles: list[Title], *, verified: bool) -> Derived:
    """The first that holds; where no tag can be checked, the first that gives a sound APDU."""
    for derived in attempts:
        if verified or derived.tree is None or is_sound(derived.tree):
            return derived
    tried = " nor with ".join(str(title) for title in titles)
    what = "the authentication tag does not hold" if verified else "this deciphers to no APDU"
    return Derived(f"{what} with title {tried}", False)


def _mark_tag(node: Node) -> None:
    tag = node.part("authentication_tag")
    if tag is not None:
        good = node.derived[0].good
        tag.text = "not verified" if good is None else "holds" if good else "does not hold"
