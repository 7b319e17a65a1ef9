"""The procedure of a session as steps: in which order, what is tried once more, and what is not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ami_dlms import data
from ami_dlms.association.client.session import (
    LOGICAL_DEVICE_NAME,
    CountFrom,
    Identify,
    IsNews,
    OpeningStep,
    OpenManagement,
    OpenPublic,
    PublicReads,
    ReadPublic,
    Reconnect,
    ReleasePublic,
    Trouble,
    Visit,
    count_of,
    opening,
)
from ami_dlms.association.client.steps import run, run_async
from ami_dlms.obis import Obis

COUNTER = Obis.parse("0-0:43.1.1*255")
EVERYTHING = PublicReads(name=True, counter=COUNTER, visit=True)


class Lost(Exception):
    pass


class TooLow(Exception):
    pass


def sense(error: Exception) -> Trouble | int:
    return Trouble.LOST if isinstance(error, Lost) else 42 if isinstance(error, TooLow) else Trouble.OTHER


class Driver:
    """Carries steps out; `failing` says which kind of step fails, each time once more with the next error."""

    def __init__(self, failing: dict[type, Iterable[Exception]] | None = None) -> None:
        self.steps: list[OpeningStep] = []
        self._failing = {kind: list(errors) for kind, errors in (failing or {}).items()}

    def perform(self, step: OpeningStep) -> object:
        self.steps.append(step)
        if errors := self._failing.get(type(step)):
            raise errors.pop(0)
        match step:
            case ReadPublic(descriptor):
                named = descriptor == LOGICAL_DEVICE_NAME
                return data.octet_string(b"AMI") if named else data.double_long_unsigned(6)
            case CountFrom(value):
                return count_of(value)
        return None

    @property
    def kinds(self) -> list[type]:
        return [type(step) for step in self.steps]


PUBLIC = [OpenPublic, ReadPublic, Identify, ReadPublic, CountFrom, Visit, ReleasePublic]


def test_everything_in_its_order() -> None:
    driver = Driver()
    run(opening(EVERYTHING, sense), driver.perform)
    assert driver.kinds == [*PUBLIC, OpenManagement]
    assert driver.steps[-1] == OpenManagement(7)


def test_without_a_public_client_there_is_one_step() -> None:
    driver = Driver()
    run(opening(PublicReads(), sense), driver.perform)
    assert driver.steps == [OpenManagement(0)]


def test_a_meter_that_hangs_up_after_a_release_is_called_once_more() -> None:
    driver = Driver({OpenManagement: [Lost()]})
    run(opening(EVERYTHING, sense), driver.perform)
    assert driver.kinds == [*PUBLIC, OpenManagement, Reconnect, OpenManagement]


def test_it_is_called_once_more_and_no_oftener() -> None:
    driver = Driver({OpenManagement: [Lost(), Lost()]})
    with pytest.raises(Lost):
        run(opening(EVERYTHING, sense), driver.perform)
    assert driver.kinds.count(OpenManagement) == 2


def test_who_was_never_asked_publicly_is_not_called_again() -> None:
    driver = Driver({OpenManagement: [Lost()]})
    with pytest.raises(Lost):
        run(opening(PublicReads(), sense), driver.perform)
    assert driver.kinds == [OpenManagement]


def test_the_counter_that_is_demanded_is_tried_once() -> None:
    driver = Driver({OpenManagement: [TooLow()]})
    run(opening(PublicReads(), sense), driver.perform)
    assert driver.steps == [OpenManagement(0), OpenManagement(42)]
    driver = Driver({OpenManagement: [TooLow(), TooLow()]})
    with pytest.raises(TooLow):
        run(opening(PublicReads(), sense), driver.perform)
    assert len(driver.steps) == 2


def test_another_meter_is_met_before_anything_is_opened_with_keys() -> None:
    driver = Driver({Identify: [ValueError("another meter")]})
    with pytest.raises(ValueError):
        run(opening(EVERYTHING, sense), driver.perform)
    assert OpenManagement not in driver.kinds


def test_a_public_client_that_only_a_visit_needs_may_be_missing() -> None:
    driver = Driver({OpenPublic: [Lost()]})
    run(opening(PublicReads(visit=True), sense), driver.perform)
    assert driver.kinds == [OpenPublic, Reconnect, OpenManagement]


async def test_both_drivers_take_the_same_steps() -> None:
    blocking, awaited = Driver({OpenManagement: [Lost(), TooLow()]}), Driver({OpenManagement: [Lost(), TooLow()]})

    async def perform(step: OpeningStep) -> object:
        return awaited.perform(step)

    run(opening(EVERYTHING, sense), blocking.perform)
    await run_async(opening(EVERYTHING, sense), perform)
    assert blocking.steps == awaited.steps
    assert blocking.steps[-1] == OpenManagement(42)


@pytest.mark.parametrize("value", [data.octet_string(b"\x01"), data.boolean(True), data.long(-1), data.null()])
def test_what_is_no_counter(value: data.Data) -> None:
    assert count_of(value) is None


KNOWN = EVERYTHING._replace(known=True, visit=False)


class Refused(Exception):
    pass


def sense_known(error: Exception) -> Trouble | int:
    return Trouble.REFUSED if isinstance(error, Refused) else sense(error)


class KnownDriver(Driver):
    """Of a meter whose counter was right the last time; `news`: whether the public client tells a higher one."""

    def __init__(self, failing: dict[type, Iterable[Exception]] | None = None, *, news: bool = False) -> None:
        super().__init__(failing)
        self._news = news

    def perform(self, step: OpeningStep) -> object:
        done = super().perform(step)
        return self._news if isinstance(step, IsNews) else done


def test_a_known_meter_is_not_asked_publicly() -> None:
    driver = KnownDriver()
    run(opening(KNOWN, sense_known), driver.perform)
    assert driver.steps == [OpenManagement(0)]


def test_a_refusal_is_looked_into_and_stays_one_when_the_counter_was_right() -> None:
    driver = KnownDriver({OpenManagement: [Refused("first")]})
    with pytest.raises(Refused, match="first"):
        run(opening(KNOWN, sense_known), driver.perform)
    assert driver.kinds == [
        OpenManagement,
        OpenPublic,
        ReadPublic,
        Identify,
        ReadPublic,
        CountFrom,
        ReleasePublic,
        IsNews,
    ]


def test_after_a_refusal_the_counter_that_is_news_is_tried_once() -> None:
    driver = KnownDriver({OpenManagement: [Refused()]}, news=True)
    run(opening(KNOWN, sense_known), driver.perform)
    assert driver.steps[-1] == OpenManagement(7)
    driver = KnownDriver({OpenManagement: [Refused(), Refused("second")]}, news=True)
    with pytest.raises(Refused, match="second"):
        run(opening(KNOWN, sense_known), driver.perform)
    assert driver.kinds.count(OpenManagement) == 2


def test_another_meter_that_refuses_is_another_meter() -> None:
    driver = KnownDriver({OpenManagement: [Refused()], Identify: [ValueError("another meter")]})
    with pytest.raises(ValueError, match="another meter"):
        run(opening(KNOWN, sense_known), driver.perform)


def test_a_refusal_stays_one_where_the_public_client_is_refused_too() -> None:
    driver = KnownDriver({OpenManagement: [Refused("first")], OpenPublic: [Refused("public")]})
    with pytest.raises(Refused, match="first"):
        run(opening(KNOWN, sense_known), driver.perform)


def test_a_known_meter_that_hangs_up_is_called_again_and_asked() -> None:
    driver = KnownDriver({OpenManagement: [Lost()]})
    run(opening(KNOWN, sense_known), driver.perform)
    assert driver.kinds[:3] == [OpenManagement, Reconnect, OpenPublic] and driver.steps[-1] == OpenManagement(7)


def test_what_is_neither_lost_nor_refused_is_not_tried_again() -> None:
    driver = KnownDriver({OpenManagement: [TimeoutError()]})
    with pytest.raises(TimeoutError):
        run(opening(KNOWN, sense_known), driver.perform)
    assert driver.kinds == [OpenManagement]
