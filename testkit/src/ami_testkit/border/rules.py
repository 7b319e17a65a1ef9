"""Which messages a fault happens to: leg, conditions, how many, how probable; what `system.border.fault` hands out."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from lxml import etree
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ami_testkit.border.changes import SELECT_PREFIXES
from ami_testkit.border.kinds import KINDS, Kind, Leg, Parameters
from ami_testkit.errors import KitError
from ami_testkit.loop import loop
from ami_testkit.messages import PREFIXES, Message

MOST_RULES = 100


class When(BaseModel):
    """Conditions, all of which have to hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noun: str | None = None
    """Header/Noun of the message."""
    verb: str | None = None
    """Header/Verb."""
    meter: str | None = None
    """Name or mRID of a meter that the message names."""
    xpath: str | None = Field(default=None, max_length=1000)
    """It finds something in the message (`Message.xpath`)."""
    skip: int = Field(default=0, ge=0)
    """So many of those that fit pass first."""
    first: int | None = Field(default=None, ge=1)
    """Only so many after these."""
    since: AwareDatetime | None = None
    """By the clock of the system."""
    until: AwareDatetime | None = None
    """The same."""

    def fits(self, message: Message, now: datetime) -> bool:
        """Whether what the message and the clock say is as it has to be."""
        return (
            self.noun in (None, message.noun)
            and self.verb in (None, message.verb)
            and (self.meter is None or self.meter in message.meters)
            and (self.xpath is None or message.holds(self.xpath))
            and (self.since is None or now >= self.since)
            and (self.until is None or now < self.until)
        )


class Rule(BaseModel):
    """A fault as it is written down; the same as JSON for REST."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fault: str
    on: Leg
    when: When = When()
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0
    parameters: dict[str, Any] = Field(default_factory=dict)


@dataclass(eq=False)
class Fault:
    """A rule that counts: `happened` says how often it has, `release` lets go what it holds, `remove` ends it."""

    number: int
    rule: Rule
    kind: Kind
    parameters: Parameters
    edit: Callable[[Message], bytes] | None = None
    """Of `edit` with a function of the test's own."""
    _matched: int = 0
    _happened: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    held: set[asyncio.Event] = field(default_factory=set)
    """Of messages that wait at the border."""
    removed: bool = False
    problem: Exception | None = None
    """What was raised last when its condition was looked at, or when it was applied; in the second case its message does not go on."""

    @property
    def happened(self) -> int:
        """How often it has."""
        return self._happened

    def wait(self, times: int = 1, within: float = 10.0) -> None:
        """Returns when it has happened so often; AssertionError if it does not."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._happened >= times or self.problem is not None, within)
            if self.problem is not None:
                what = f"{self.kind.name} on {self.rule.on}" if self.edit is None else "the function of this edit"
                raise AssertionError(f"{what} failed: {self.problem!r}") from self.problem
            if not came:
                text = f"{self.kind.name} on {self.rule.on} was expected {times} times within {within:g} s and happened {self._happened} times"
                raise AssertionError(text)

    def fail(self, problem: Exception) -> None:
        """Say so to who waits for it."""
        with self._changed:
            self.problem = problem
            self._changed.notify_all()

    def release(self) -> None:
        """What waits at the border because of it goes on."""
        loop().call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        for one in tuple(self.held):
            one.set()

    def remove(self) -> None:
        """It counts no more; what it holds goes on."""
        self.removed = True
        self.release()

    def chosen(self, message: Message, now: datetime) -> bool:
        """Whether it happens to this message, which is then counted."""
        try:
            if self.removed or not self.rule.when.fits(message, now):
                return False
        except (etree.XPathError, ValueError) as problem:  # an XPath that only some messages show to be wrong
            self.fail(problem)
            return False
        with self._changed:
            self._matched += 1
            place = self._matched - self.rule.when.skip
            first = self.rule.when.first
            if place < 1 or (first is not None and place > first) or not self._drawn(place):
                return False
            self._happened += 1
            self._changed.notify_all()
        return True

    def _drawn(self, place: int) -> bool:
        """By the seed and the place among those that fit alone, so that other faults change nothing."""
        digest = sha256(f"{self.rule.seed}/{self.kind.name}/{self.rule.on}/{place}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self.rule.probability * 2**64

    def described(self) -> dict[str, Any]:
        """For people and programs."""
        problem = None if self.problem is None else repr(self.problem)
        return {
            "number": self.number,
            "happened": self._happened,
            "problem": problem,
            **self.rule.model_dump(mode="json"),
        }


def parse_rule(number: int, given: dict[str, Any]) -> Fault:
    """A fault that counts from now on. Raises KitError, with what there is."""
    try:
        rule = Rule.model_validate(given)
        kind = KINDS.get(rule.fault)
        if kind is None:
            raise KitError(f"there is no fault {rule.fault!r} of the border; there are {', '.join(KINDS)}")
        if rule.on not in kind.legs:
            raise KitError(f"{kind.name} can't happen on={str(rule.on)!r}; it can on {', '.join(kind.legs)}")
        parameters = kind.parameters.model_validate(rule.parameters)
        select = getattr(parameters, "select", None)
        for xpath, prefixes in ((rule.when.xpath, PREFIXES), (select, SELECT_PREFIXES)):
            if xpath is not None:  # prefixes and functions are looked up only when something is asked
                etree.XPath(xpath, namespaces=prefixes)(etree.Element("nothing"))
        for name, text in parameters.model_dump().items():
            if isinstance(text, str) and not _is_xml_text(text):
                raise KitError(f"fault {rule.fault!r}: {name}: has characters that XML does not allow")
        return Fault(number, rule, kind, parameters)
    except etree.XPathError as problem:
        raise KitError(f"fault {given.get('fault')!r}: {problem} in an XPath 1.0 expression") from None
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise KitError(f"fault {given.get('fault')!r}: {where}: {first['msg']}") from None


def _is_xml_text(text: str) -> bool:
    try:
        etree.Element("nothing").text = text
    except ValueError:
        return False
    return True
