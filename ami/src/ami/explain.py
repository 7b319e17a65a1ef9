"""What a framed APDU says, in a line, deciphered where the keys are known: for docs that show real octets to a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch

from dlms import apdu
from dlms.apdu import Apdu
from dlms.apdu.acse import Aare, Aarq, Rlre, Rlrq
from dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from dlms.apdu.ciphered import GeneralGloCiphering, ServiceCiphering
from dlms.apdu.get import GetRequestNormal, GetResponseNormal
from dlms.data import Data
from dlms.errors import DlmsError
from dlms.framing.wrapper import WrapperPdu
from dlms.security import GlobalKeys, unprotect
from dlms.tree import words

described = words.descriptor

KeysOf = Mapping[bytes, GlobalKeys]
"""The keys by the system title of the sender."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One frame: its octets on the wire, the clear APDU inside it (None if it was clear already), and what it says."""

    source: int
    destination: int
    frame: bytes
    clear: bytes | None
    summary: str


def explain(pdu: WrapperPdu, frame: bytes, keys: KeysOf) -> Explained:
    """A frame and its meaning; DlmsError if it cannot be decoded or its tag does not hold."""
    outer = apdu.decode(pdu.apdu)
    clear = None
    if isinstance(outer, GeneralGloCiphering):
        clear = unprotect(keys[outer.system_title], outer.system_title, outer.content).plaintext
        summary = f"general-glo-ciphering: {summarise(apdu.decode(clear))}"
    else:
        summary = summarise(outer)
    if clear is None and (inner := _user_information(outer, keys)) is not None:
        clear = inner
        summary = f"{summary}; user-information {summarise(apdu.decode(inner))}"
    return Explained(pdu.source, pdu.destination, frame, clear, summary)


def _user_information(outer: Apdu, keys: KeysOf) -> bytes | None:
    """The clear InitiateRequest or InitiateResponse inside an association's APDU, if it is ciphered and we have the key."""
    titles = {Aarq: "calling_ap_title", Aare: "responding_ap_title"}
    title = getattr(outer, titles.get(type(outer), ""), None)
    information = getattr(outer, "user_information", None)
    if title is None or information is None or title not in keys:
        return None
    try:
        inner = apdu.decode(information)
    except DlmsError:
        return None
    if not isinstance(inner, ServiceCiphering):
        return None
    return unprotect(keys[title], title, inner.content).plaintext


@singledispatch
def summarise(one: Apdu) -> str:
    """An APDU in a line."""
    return type(one).__name__


@summarise.register
def _(one: Aarq) -> str:
    return f"AARQ {_words(one.application_context.name)}, mechanism {_words(one.mechanism.name if one.mechanism else 'lowest')}"


@summarise.register
def _(one: Aare) -> str:
    return f"AARE {_words(one.result.name)}, {one.diagnostic.reason}"


@summarise.register
def _(one: Rlrq) -> str:
    return "RLRQ"


@summarise.register
def _(one: Rlre) -> str:
    return "RLRE"


@summarise.register
def _(one: GetRequestNormal) -> str:
    return f"GET {described(one.descriptor)}"


@summarise.register
def _(one: GetResponseNormal) -> str:
    value = shown(one.result) if isinstance(one.result, Data) else _words(one.result.name)
    return f"GET response: {value}"


@summarise.register
def _(one: ActionRequestNormal) -> str:
    return f"ACTION {described(one.descriptor)}"


@summarise.register
def _(one: ActionResponseNormal) -> str:
    return f"ACTION response: {_words(one.result.name)}"


def shown(data: Data) -> str:
    """A value for a person: octets that are printable as text in quotes, others as hex."""
    value = data.value
    if isinstance(value, bytes):
        printable = value.isascii() and value.decode("ascii").isprintable()
        text = f'"{value.decode("ascii")}"' if printable and value else value.hex()
    elif isinstance(value, tuple):
        return "(" + ", ".join(shown(one) if isinstance(one, Data) else str(one) for one in value) + ")"
    else:
        text = str(value).lower()
    return f"{_words(data.tag.name)} {text}"


def _words(name: str) -> str:
    return name.lower().replace("_", "-")
