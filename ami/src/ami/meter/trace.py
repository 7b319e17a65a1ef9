"""`-v`: every APDU in words, its octets in clear, and the octets that really went over the wire.

It stands around the framing, so it sees an APDU just before it is framed and just after. Octets are deciphered here with
the same keys once more, so the protocol core needs no window into it. A password that we send is shown as asterisks.
"""

from collections.abc import Callable

from ami.explain import described, shown, summarise
from dlms import apdu
from dlms.apdu import Apdu
from dlms.apdu.acse import Aare, Aarq, Rlre, Rlrq
from dlms.apdu.ciphered import GeneralDedCiphering, GeneralGloCiphering, ServiceCiphering
from dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from dlms.apdu.get import GetRequestNext, GetResponseWithDataBlock
from dlms.apdu.set import SetRequestNormal, SetResponseNormal
from dlms.association import ClientSettings
from dlms.errors import DlmsError
from dlms.framing.framing import Framing, LinkLost, WrapperPdu
from dlms.security import unprotect

HEX_LINE = 32
LONGEST_SUMMARY = 400
CIPHERED = (GeneralGloCiphering, GeneralDedCiphering, ServiceCiphering)
WITH_INFORMATION = (Aarq, Aare, Rlrq, Rlre)


class Trace:
    """Where the lines go, and what is known for deciphering."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._settings: ClientSettings | None = None
        self._peer_title: bytes | None = None

    def association(self, settings: ClientSettings) -> None:
        """The association that the next APDUs belong to."""
        self._settings = settings
        self._peer_title = settings.security.peer_system_title if settings.security else None

    def octets(self, direction: str, octets: bytes) -> None:
        """As they are on the wire."""
        self._lines("sent    " if direction == "→" else "received", octets)

    def apdu(self, direction: str, pdu: WrapperPdu) -> None:
        """One APDU in words; in clear, when it is ciphered."""
        try:
            outer = apdu.decode(pdu.apdu)
            if isinstance(outer, Aare) and outer.responding_ap_title:
                self._peer_title = outer.responding_ap_title
            clear = self._clear(outer, direction)
            summary = summarise(apdu.decode(clear)) if clear is not None else summarise(outer)
            if isinstance(outer, CIPHERED):
                summary += f"  [{type(outer).__name__}]"
        except DlmsError as error:
            clear, summary = None, f"can't be shown: {error}"
            outer = None
        if len(summary) > LONGEST_SUMMARY:
            summary = f"{summary[:LONGEST_SUMMARY]}…"
        self._write(f"{direction} {pdu.source} → {pdu.destination}  {summary}")
        self._lines("clear   ", clear or pdu.apdu)
        if isinstance(outer, WITH_INFORMATION) and outer.user_information:
            self._information(outer.user_information, direction)

    def _information(self, octets: bytes, direction: str) -> None:
        try:
            inner = apdu.decode(octets)
            clear = self._clear(inner, direction)
            self._write(f"    user-information: {summarise(apdu.decode(clear or octets))}")
            self._lines("clear   ", clear or octets)
        except DlmsError as error:
            self._write(f"    user-information can't be shown: {error}")

    def _clear(self, message: Apdu, direction: str) -> bytes | None:
        security = self._settings.security if self._settings is not None else None
        if security is None or not isinstance(message, CIPHERED):
            return None
        title = security.system_title if direction == "→" else self._peer_title
        return None if title is None else unprotect(security.keys, title, message.content).plaintext

    def _lines(self, label: str, octets: bytes) -> None:
        digits = octets.hex().upper()
        secret = self._settings.secret if self._settings is not None else None
        if secret:
            digits = digits.replace(secret.hex().upper(), "*" * 2 * len(secret))
        for start in range(0, len(digits), 2 * HEX_LINE):
            self._write(f"    {label if start == 0 else '        '} {digits[start : start + 2 * HEX_LINE]}")


class TracedFraming:
    """A framing that tells of every APDU that passes."""

    def __init__(self, inner: Framing, trace: Trace) -> None:
        self._inner = inner
        self._trace = trace

    def encode(self, pdu: WrapperPdu) -> bytes:
        self._trace.apdu("→", pdu)
        return self._inner.encode(pdu)

    def receive_data(self, octets: bytes) -> None:
        self._inner.receive_data(octets)

    def next_pdu(self) -> WrapperPdu | LinkLost | None:
        pdu = self._inner.next_pdu()
        if isinstance(pdu, WrapperPdu):
            self._trace.apdu("←", pdu)
        return pdu

    def data_to_send(self) -> bytes:
        return self._inner.data_to_send()


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
