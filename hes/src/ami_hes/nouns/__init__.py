"""The nouns that are carried out on meters, one module per noun: `size` (how many meters a message names), `plan` (message to commands)
and `report` (what came of them to a Reply and perhaps a payload), all pure. `ami_hes.served` has a row for each noun, also for those
that change the head-end itself: they have an `Order`.

`devices` finds the meters that a message names, `replies` words what came of them; both are for every noun."""

from collections.abc import Sequence
from typing import Protocol

from ami_cim.message import ReplyError, RequestMessage
from ami_hes.meters.registry import Registry
from ami_hes.nouns.header import check, error
from ami_hes.nouns.partners import STANDARD, Partner, partner_of
from ami_hes.nouns.plans import Ask, Meant, Order, Plan, Refused, Report, RequestContext, Shown, Worked


class NounModule(Protocol):
    """What such a module offers."""

    def size(self, message: RequestMessage, partner: Partner = STANDARD) -> int: ...

    def plan(self, context: RequestContext, message: RequestMessage, registry: Registry) -> Plan: ...

    def report(self, context: RequestContext, errors: Sequence[ReplyError], worked: Sequence[Worked]) -> Report: ...


__all__ = [
    "STANDARD",
    "Ask",
    "Meant",
    "NounModule",
    "Order",
    "Partner",
    "Plan",
    "Refused",
    "Report",
    "RequestContext",
    "Shown",
    "Worked",
    "check",
    "error",
    "partner_of",
]
