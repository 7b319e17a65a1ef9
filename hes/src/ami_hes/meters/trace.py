"""Every framed APDU of a connection as one event `apdu`, for reading along; made only when hes.log_apdus is true.

The octets are those of the wire: what is ciphered there is ciphered here. Passwords and keys that go over it unencrypted (the
password of LLS) are written as asterisks.
"""

from time import perf_counter

import structlog

from ami_dlms.enums import ApduTag
from ami_dlms.tree import Session, explain, secret_nodes, without_secrets

log = structlog.get_logger()
_HEADER = 8  # octets of the wrapper in front of the APDU


class ApduTrace:
    """The trace of one connection; `meter` is set when it is known who it is."""

    def __init__(self, meter: str) -> None:
        self.meter = meter
        self._asked = perf_counter()

    def request(self, frame: bytes) -> None:
        self._asked = perf_counter()
        [tree, *_] = explain(frame, Session())
        self._tell("request", frame, 0.0, without_secrets(tree, secret_nodes(tree)))

    def response(self, frame: bytes) -> None:
        self._tell("response", frame, (perf_counter() - self._asked) * 1000, frame.hex().upper())

    def _tell(self, direction: str, frame: bytes, took_ms: float, digits: str) -> None:
        log.info(
            "apdu",
            meter=self.meter,
            direction=direction,
            name=_name(frame),
            hex=digits,
            ms=round(took_ms, 3),
        )


def _name(frame: bytes) -> str:
    tag = frame[_HEADER] if len(frame) > _HEADER else None
    return ApduTag(tag).name.lower().replace("_", "-") if tag in set(ApduTag) else "unknown"
