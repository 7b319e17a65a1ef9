"""Which request the work on a meter belongs to, and every framed APDU of a connection as one event `apdu`.

The MessageID of a request comes with its command (`tracing`), and all that is done in that context says so, over however many
connections. It is a context and not an argument, because pools, links and sessions have no other business with requests. A
task that was begun in it and outlives it, such as the watch over a connection that is kept, no longer belongs to the request.

Where the request is recorded, the context holds the recording as well (`ami_hes.meters.recording`), and `recording` finds it.

`apdu` events are made only when hes.log_apdus is true. The octets are those of the wire, in the wrapper whatever
carries the APDU: what is ciphered there is ciphered here. Passwords and keys that go over it unencrypted (the password of LLS)
are written as asterisks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ami_dlms.enums import ApduTag
from ami_dlms.explain import DecodingSession, explain, secret_nodes, without_secrets
from ami_dlms.framing.wrapper import WrapperPdu, encode
from ami_hes.events import Apdu
from ami_hes.meters.recording import Recording
from ami_process.environment import real_time
from ami_process.events import Emit


@dataclass(slots=True)
class _Traced:
    message_id: str
    recording: Recording | None
    ended: bool = False


_TRACED: ContextVar[_Traced | None] = ContextVar("traced", default=None)


@contextmanager
def tracing(message_id: str, recording: Recording | None = None) -> Iterator[None]:
    """What is done on meters inside belongs to the request of this MessageID, and is noted in the recording."""
    traced = _Traced(message_id, recording)
    token = _TRACED.set(traced)
    try:
        yield
    finally:
        traced.ended = True
        _TRACED.reset(token)


def traced_message_id() -> str | None:
    """The MessageID of the request that is being worked on here; None outside of any."""
    traced = _TRACED.get()
    return None if traced is None or traced.ended else traced.message_id


def recording() -> Recording | None:
    """Where what is done here is noted; None where nothing is."""
    traced = _TRACED.get()
    return None if traced is None or traced.ended else traced.recording


@contextmanager
def step(name: str, kind: str = "step") -> Iterator[None]:
    """A part of the work that a trace names; what ends it by an exception has failed."""
    found = recording()
    if found is None:
        yield
        return
    entry = found.begin(kind, name)
    try:
        yield
    except BaseException as problem:
        found.end(entry, "failed", str(problem))
        raise
    found.end(entry)


class ApduTrace:
    """The trace of one connection; `meter` is set when it is known who it is."""

    def __init__(self, meter: str, emit: Emit) -> None:
        self.meter = meter
        self._emit = emit
        self._asked = real_time()

    def request(self, pdu: WrapperPdu) -> None:
        self._asked = real_time()
        [tree, *_] = explain(encode(pdu), DecodingSession())
        self._log("request", pdu, 0.0, without_secrets(tree, secret_nodes(tree)))

    def response(self, pdu: WrapperPdu) -> None:
        self._log("response", pdu, (real_time() - self._asked) * 1000, encode(pdu).hex().upper())

    def _log(self, direction: str, pdu: WrapperPdu, took_ms: float, digits: str) -> None:
        self._emit(
            Apdu(
                message_id=traced_message_id(),
                meter=self.meter,
                direction=direction,
                name=_name(pdu),
                hex=digits,
                ms=round(took_ms, 3),
            )
        )


def _name(pdu: WrapperPdu) -> str:
    tag = pdu.apdu[0]
    return ApduTag(tag).name.lower().replace("_", "-") if tag in set(ApduTag) else "unknown"
