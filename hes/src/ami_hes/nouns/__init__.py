"""The nouns that are served: for each, `size` (how many meters a message names), `plan` (message to commands) and `report`
(what came of them to a Reply and perhaps a payload), all pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ami_cim.message import ReplyError, RequestMessage
from ami_hes.meters.registry import Registry
from ami_hes.nouns import end_device_controls
from ami_hes.nouns.header import check, error
from ami_hes.nouns.partners import STANDARD, Partner, partner_of
from ami_hes.nouns.plans import Plan, Refused, Report, Worked


class Noun(Protocol):
    """What a module of this package offers."""

    def size(self, message: RequestMessage, partner: Partner = STANDARD) -> int: ...

    def plan(
        self, message: RequestMessage, registry: Registry, *, now: datetime, partner: Partner = STANDARD
    ) -> Plan: ...

    def report(self, errors: Sequence[ReplyError], worked: Sequence[Worked]) -> Report: ...


NOUNS: dict[str, Noun] = {"EndDeviceControls": end_device_controls}

__all__ = [
    "NOUNS",
    "STANDARD",
    "Noun",
    "Partner",
    "Plan",
    "Refused",
    "Report",
    "Worked",
    "check",
    "error",
    "partner_of",
]
