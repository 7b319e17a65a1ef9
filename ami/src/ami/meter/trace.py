"""`-v`: every APDU in words, its octets in clear, and the octets that really went over the wire.

It stands around the framing, so it sees an APDU just before it is framed and just after. `dlms.tree` deciphers it with the
same keys once more, so the protocol core needs no window into it. A password that we send is shown as asterisks.
"""

from collections.abc import Callable

from ami.explain import described, shown, summarise
from dlms.apdu.ciphered import GeneralCiphering, GeneralDedCiphering, GeneralGloCiphering, ServiceCiphering
from dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from dlms.apdu.get import GetRequestNext, GetResponseWithDataBlock
from dlms.apdu.set import SetRequestNormal, SetResponseNormal
from dlms.association import ClientSettings
from dlms.framing.framing import Framing, LinkLost, WrapperPdu
from dlms.tree import Keyring, Node, Session, explain, nodes

HEX_LINE = 32
LONGEST_SUMMARY = 400
CIPHERED = (GeneralGloCiphering, GeneralDedCiphering, GeneralCiphering, ServiceCiphering)


class Trace:
    """Where the lines go, and what is known for deciphering."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._session = Session()
        self._secret = ""

    def association(self, settings: ClientSettings) -> None:
        """The association that the next APDUs belong to."""
        security = settings.security
        self._secret = (settings.secret or b"").hex().upper()
        self._session = Session()
        if security is not None:
            keys, title, peer = security.keys, security.system_title, security.peer_system_title
            self._session = Session(Keyring(keys.encryption_key, keys.authentication_key, None, title, peer))

    def octets(self, direction: str, octets: bytes) -> None:
        """As they are on the wire."""
        self._lines("sent    " if direction == "→" else "received", octets)

    def apdu(self, direction: str, pdu: WrapperPdu) -> None:
        """One APDU in words and in clear, and what its user-information holds."""
        [tree, *_] = explain(pdu.apdu, self._session)
        clear = _in_clear(tree)
        summary = _summary(clear) + (f"  [{type(tree.value).__name__}]" if isinstance(tree.value, CIPHERED) else "")
        self._write(f"{direction} {pdu.source} → {pdu.destination}  {summary}")
        self._lines(
            "clear   " if clear is not tree or not isinstance(tree.value, CIPHERED) else "ciphered", clear.octets
        )
        information = tree.part("user_information")
        for part in information.parts if information is not None else ():
            if part.value is not None and (inner := _in_clear(part)) is not tree:
                self._write(f"    user-information: {_summary(inner)}")
                self._lines("clear   ", inner.octets)

    def _lines(self, label: str, octets: bytes) -> None:
        digits = octets.hex().upper()
        if self._secret:
            digits = digits.replace(self._secret, "*" * len(self._secret))
        for start in range(0, len(digits), 2 * HEX_LINE):
            self._write(f"    {label if start == 0 else ' ' * len(label)} {digits[start : start + 2 * HEX_LINE]}")


class TracedFraming:
    """A framing that tells of every APDU that passes."""

    def __init__(self, inner: Framing, trace: Trace) -> None:
        self._inner = inner
        self._trace = trace

    def encode(self, *pdus: WrapperPdu) -> bytes:
        for pdu in pdus:
            self._trace.apdu("→", pdu)
        return self._inner.encode(*pdus)

    def pass_turn(self, source: int, destination: int) -> None:
        self._inner.pass_turn(source, destination)

    def receive_data(self, octets: bytes) -> None:
        self._inner.receive_data(octets)

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        pdu = self._inner.next_pdu()
        if isinstance(pdu, WrapperPdu):
            self._trace.apdu("←", pdu)
        return pdu

    def data_to_send(self) -> bytes:
        return self._inner.data_to_send()


def _in_clear(tree: Node) -> Node:
    """What a ciphered APDU holds, where it could be deciphered; any other APDU is that itself."""
    if not isinstance(tree.value, CIPHERED):
        return tree
    held = [derived.tree for node in nodes(tree) for derived in node.derived if derived.tree is not None]
    return _in_clear(held[0]) if held else tree


def _summary(tree: Node) -> str:
    text = f"can't be read: {tree.trouble}" if tree.value is None else summarise(tree.value)
    return text if len(text) <= LONGEST_SUMMARY else f"{text[:LONGEST_SUMMARY]}…"


@summarise.register
def _(one: SetRequestNormal) -> str:
    return f"SET {described(one.descriptor)} = {shown(one.value)}"


@summarise.register
def _(one: SetResponseNormal) -> str:
    return f"SET response: {one.result.name.lower().replace('_', '-')}"


@summarise.register
def _(one: GetRequestNext) -> str:
    return f"GET next block after {one.block_number}"


@summarise.register
def _(one: GetResponseWithDataBlock) -> str:
    return f"GET response, block {one.block_number}{', the last' if one.last_block else ''}"


@summarise.register(ExceptionResponse)
@summarise.register(ConfirmedServiceError)
def _(one: ExceptionResponse | ConfirmedServiceError) -> str:
    return f"{type(one).__name__}: {one.reason}"
