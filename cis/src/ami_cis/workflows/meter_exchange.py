"""A meter is exchanged for another one at its usage point: final readings of the old one, the links, first readings of the new one.

The HES is asked what is so before anything is changed and after it, and that alone counts: a lost answer, a restart or an exchange that
somebody has begun already are the same here. So an exchange that did not come to its end is ordered again as it was, and goes on.
"""

from dataclasses import dataclass, field
from typing import Final

from ami_cim.identity import Identified
from ami_cis.store import KeptReading
from ami_cis.workflows.master_data import FoundLink, Link, MasterData, identified
from ami_cis.workflows.orders import OrderOutcome, Target
from ami_cis.workflows.readings import Readings, ReadOrder

REMOVAL: Final = "removal"
INSTALLATION: Final = "installation"
"""Reading/reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOrder:
    """Which meter comes in the place of which; meters by name or mRID."""

    usage_point: str
    new: str
    old: str | None = None
    """None: whichever is there."""
    reading_types: tuple[str, ...] = ()
    without_final: bool = False
    """Whether it goes on where the old meter can't be read any more."""


@dataclass(frozen=True, slots=True)
class ExchangeStep:
    """A request of the exchange and how it ended."""

    step: str
    outcome: OrderOutcome


@dataclass(slots=True)
class ExchangeOutcome:
    """How far it came. `exchanged`: whether the HES says that the new meter is there; None where it is not known."""

    exchanged: bool | None = False
    reason: str = ""
    """Why it did not come to its end; empty when it did."""
    steps: list[ExchangeStep] = field(default_factory=list)
    old: str | None = None
    final: tuple[KeptReading, ...] = ()
    first: tuple[KeptReading, ...] = ()


class _Stopped(Exception):
    """It can't go on; the text says why."""


class MeterExchanges:
    """Carries exchanges out; never raises for what the HES, the network or the store does."""

    def __init__(self, master_data: MasterData, readings: Readings) -> None:
        self._master_data = master_data
        self._readings = readings

    async def run(self, order: ExchangeOrder) -> ExchangeOutcome:
        """Exchange, and say how far it came."""
        outcome = ExchangeOutcome()
        try:
            await self._run(order, outcome)
        except _Stopped as stopped:
            outcome.reason = str(stopped)
        return outcome

    async def _run(self, order: ExchangeOrder, outcome: ExchangeOutcome) -> None:
        there = await self._link(order, outcome, "look")
        _check_two_meters(order, there)
        if there is not None and there.is_of(order.new):
            outcome.exchanged, outcome.old = True, order.old
        else:
            await self._check(order, there, outcome)
            await self._read_final(order, there, outcome)
            await self._relink(order, there, outcome)
        outcome.first = await self._read(order, order.new, INSTALLATION, "first readings", outcome)

    async def _link(self, order: ExchangeOrder, outcome: ExchangeOutcome, step: str) -> Link | None:
        found: FoundLink = await self._master_data.link_of(point=order.usage_point)
        outcome.steps.append(ExchangeStep(step, found.outcome))
        if not found.is_known:
            raise _Stopped("the HES does not say which meter is at the usage point")
        return found.link

    async def _check(self, order: ExchangeOrder, there: Link | None, outcome: ExchangeOutcome) -> None:
        """Nothing is changed for an exchange that could not come to its end."""
        if there is None and order.old is None:
            raise _Stopped(f"no meter is at {order.usage_point}: name the old one if it was taken from there")
        if there is not None and order.old is not None and not there.is_of(order.old):
            raise _Stopped(f"at {order.usage_point} is {_label(there.meter)}, and not {order.old}")
        if there is None:
            old = await self._master_data.link_of(meter=order.old)
            outcome.steps.append(ExchangeStep("look at the old meter", old.outcome))
            if old.link is not None:
                raise _Stopped(f"{order.old} is at the usage point {_label(old.link.point)}")
        outcome.old = order.old or (None if there is None else _label(there.meter))
        new = await self._master_data.link_of(meter=order.new)
        outcome.steps.append(ExchangeStep("look at the new meter", new.outcome))
        if new.link is not None:
            raise _Stopped(f"{order.new} is at the usage point {_label(new.link.point)}")
        if not new.is_known:
            raise _Stopped(f"the HES does not know the meter {order.new}, or does not say so now")

    async def _read_final(self, order: ExchangeOrder, there: Link | None, outcome: ExchangeOutcome) -> None:
        old = _label(there.meter) if there is not None else order.old
        try:
            outcome.final = await self._read(order, str(old), REMOVAL, "final readings", outcome)
        except _Stopped as stopped:
            if not order.without_final:
                raise _Stopped(f"{stopped}; nothing was changed") from None

    async def _relink(self, order: ExchangeOrder, there: Link | None, outcome: ExchangeOutcome) -> None:
        outcome.exchanged = None
        point = identified(order.usage_point) if there is None else there.point
        if there is not None:
            closed = await self._master_data.change_link("close", there)
            outcome.steps.append(ExchangeStep("close the old link", closed))
        created = await self._master_data.change_link("create", Link(identified(order.new), point))
        outcome.steps.append(ExchangeStep("create the new link", created))
        now = await self._link(order, outcome, "look again")
        outcome.exchanged = now is not None and now.is_of(order.new)
        if not outcome.exchanged:
            whose = "no meter" if now is None else _label(now.meter)
            raise _Stopped(f"at {order.usage_point} is {whose} now, and not {order.new}: order the exchange again")

    async def _read(
        self, order: ExchangeOrder, meter: str, reason: str, step: str, outcome: ExchangeOutcome
    ) -> tuple[KeptReading, ...]:
        asked = identified(meter)
        target = Target.mrid(meter) if asked.mrid is not None else Target.meter(meter)
        wanted = ReadOrder(targets=(target,), reading_types=order.reading_types, reason=reason)
        read = await self._readings.run(wanted)
        outcome.steps.append(ExchangeStep(step, read.outcome))
        if read.outcome.result != "OK":
            raise _Stopped(f"the {step} of {meter} were not had: {_why(read.outcome)}")
        return read.readings


def _check_two_meters(order: ExchangeOrder, there: Link | None) -> None:
    """A meter in its own place would look like an exchange that is done already. One may be named by its mRID, the other by its name."""
    both_there = order.old is not None and there is not None and there.is_of(order.new) and there.is_of(order.old)
    if both_there or order.old == order.new:
        raise _Stopped(f"{order.old} and {order.new} are the same meter")


def _label(one: Identified) -> str:
    return one.names[0].name if one.names else one.mrid or ""


def _why(outcome: OrderOutcome) -> str:
    said = [one.reason or one.code for one in outcome.errors if one.is_failure]
    return outcome.reason or "; ".join(said) or str(outcome.result)
