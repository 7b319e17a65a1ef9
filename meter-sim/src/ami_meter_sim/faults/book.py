"""The faults of a process: which rules count, what each meter has of them, and how often each fault has happened.

Strategy: rules are few and meters many, so what a meter has of them is found out when it is asked for, and kept only as long as somebody
has it, or for good from the first time that chance was asked: a list of a million meters costs no memory. What a fault remembers of a
meter lasts as long as its rule.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from weakref import WeakValueDictionary

from ami_meter_sim.effects import Effect, Report, Send
from ami_meter_sim.events import FaultHappened
from ami_meter_sim.faults.dice import Dice
from ami_meter_sim.faults.fault import Fault, Occasion
from ami_meter_sim.faults.rule import Rule

NONE: tuple["Active", ...] = ()
Key = tuple[int, str]
"""Number of a rule and name of a meter."""


def _unkept(active: "Active") -> None:
    """For one that belongs to no book."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Active:
    """One fault at one meter. `keep` is called the first time that it is decided whether it happens."""

    number: int
    rule: Rule
    meter: str
    keep: Callable[["Active"], None] = _unkept
    times: int = 0
    _fault: Fault | None = None
    _dice: Dice | None = None

    @property
    def fault(self) -> Fault:
        """The fault with what it remembers of this meter."""
        if self._fault is None:
            rule = self.rule
            self._fault = rule.parameters.of_its_own(Dice(rule.seed, "inside", rule.fault, self.meter))
        return self._fault

    def has(self, *hooks: str) -> bool:
        """Whether the fault overrides one of these hooks."""
        return self.rule.parameters.has(*hooks)

    @property
    def of_the_line(self) -> bool:
        """Whether it disturbs frames of answers on their way over the line."""
        return self.rule.parameters.of_the_line and self.rule.direction == "answer"

    def is_down(self, at: datetime) -> bool:
        """As `Fault`; one that has not happened yet has brought nothing down."""
        return self._fault is not None and self._fault.is_down(at)

    def happens(self, occasion: Occasion, decided: dict[int, bool]) -> bool:
        """Whether it happens now; takes one draw. `decided` keeps what chance decided for the whole of a connection."""
        if (self.rule.direction == "push") != (occasion.push is not None):
            return False
        if not self.rule.when.holds(occasion) or not self.rule.parameters.concerns(occasion):
            return False
        if not self.rule.parameters.once_per_connection:
            return self._decide()
        if self.number not in decided:
            decided[self.number] = self._decide()
        return decided[self.number]

    def _decide(self) -> bool:
        self.times += 1
        if self.times == 1:
            self.keep(self)
        if not self.rule.when.allows(self.times):
            return False
        return self.rule.probability >= 1 or self._draw() < self.rule.probability

    def _draw(self) -> float:
        if self._dice is None:
            self._dice = Dice(self.rule.seed, "whether", self.rule.fault, self.meter)
        return self._dice.fraction()


@dataclass(slots=True, eq=False)
class Faults:
    """The rules of a process. `groups_of` says in which groups the meter of a name is."""

    groups_of: Callable[[str], Collection[str]] = lambda name: ()
    generation: int = 0
    """Goes up whenever the rules change."""
    counts: Counter[str] = field(default_factory=Counter)
    """How often each fault has happened, by name."""
    _rules: dict[int, Rule] = field(default_factory=dict)
    _by_name: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _general: list[int] = field(default_factory=list)
    _known: WeakValueDictionary[Key, Active] = field(default_factory=WeakValueDictionary)
    _kept: dict[Key, Active] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def rules(self) -> Sequence[tuple[int, Rule]]:
        """All of them with their numbers, in the order in which they were set."""
        return list(self._rules.items())

    def any_has(self, *hooks: str) -> bool:
        """Whether there is a rule whose fault overrides one of these hooks."""
        return any(rule.parameters.has(*hooks) for rule in self._rules.values())

    @property
    def kept(self) -> int:
        """How many faults of single meters are kept in memory, since something has been decided for them."""
        return len(self._kept)

    def set(self, rule: Rule) -> int:
        """Let a rule count from now on; its number."""
        number = next(self._numbers)
        self.generation += 1
        self._rules[number] = rule
        for name in rule.names or ():
            self._by_name[name].append(number)
        if rule.names is None:
            self._general.append(number)
        return number

    def remove(self, number: int) -> bool:
        """Let a rule count no longer; False when there is none of this number."""
        rule = self._rules.pop(number, None)
        if rule is None:
            return False
        self.generation += 1
        for name in rule.names or ():
            self._by_name[name].remove(number)
            if not self._by_name[name]:
                del self._by_name[name]
        if rule.names is None:
            self._general.remove(number)
        self._kept = {key: active for key, active in self._kept.items() if key[0] != number}
        return True

    def reset(self) -> int:
        """Back to health; the number of rules that counted."""
        rules = len(self._rules)
        self.generation += 1
        self._rules, self._by_name, self._general, self._kept = {}, defaultdict(list), [], {}
        return rules

    def rules_of(self, name: str) -> Iterator[tuple[int, Rule]]:
        """The rules that concern a meter, in their order: for who only looks at them."""
        numbers = [*self._by_name.get(name, ()), *self._general] if self._rules else ()
        groups = self.groups_of(name) if numbers else ()
        for number in sorted(numbers):
            rule = self._rules[number]
            if rule.applies_to(name, groups):
                yield number, rule

    def of(self, name: str) -> tuple[Active, ...]:
        """The faults of a meter, in the order of their rules: the same ones for every caller."""
        if not self._rules:
            return NONE
        return tuple([self._active(number, rule, name) for number, rule in self.rules_of(name)])

    def happened(self, active: Active) -> None:
        """Count it."""
        self.counts[active.rule.fault] += 1

    def _active(self, number: int, rule: Rule, name: str) -> Active:
        found = self._known.get((number, name))
        if found is None:
            found = self._known[number, name] = Active(number, rule, name, self._keep)
        return found

    def _keep(self, active: Active) -> None:
        """It has a past now, unless its rule is gone already."""
        if active.number in self._rules:
            self._kept[active.number, active.meter] = active


def disturbed(faults: Faults, meter: str, octets: bytes, occasion: Occasion) -> Sequence[Effect]:
    """What becomes of the push of a meter: reports of the faults that happen, and waits and sends in their order."""
    leaving: Sequence[Effect] = (Send(octets),)
    reports: list[Effect] = []
    for one in faults.of(meter):
        if one.has("on_frame") and one.happens(occasion, {}):
            faults.happened(one)
            reports.append(Report(FaultHappened(meter=meter, fault=one.rule.fault, rule=one.number)))
            leaving = one.fault.on_frame(leaving, occasion)
    return (*reports, *leaving)
