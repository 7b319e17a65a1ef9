"""The faults of a process: which rules count, what each meter has of them, and how often each fault has happened.

Strategy: rules are few and meters many, so a meter's own faults are made when it is first asked, and only for meters that have any.
Changing the rules makes nothing but the changed ones anew: what a fault remembers of a meter lasts as long as its rule.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from ami_meter_sim.effects import Effect, Report, Send
from ami_meter_sim.events import FaultHappened
from ami_meter_sim.faults.dice import Dice
from ami_meter_sim.faults.fault import Fault, Occasion
from ami_meter_sim.faults.rule import Rule

NONE: tuple["Active", ...] = ()


@dataclass(slots=True, eq=False)
class Active:
    """One fault at one meter."""

    number: int
    rule: Rule
    fault: Fault
    dice: Dice
    times: int = 0

    def happens(self, occasion: Occasion, decided: dict[int, bool]) -> bool:
        """Whether it happens now; takes one draw. `decided` keeps what chance decided for the whole of a connection."""
        if (self.rule.direction == "push") != (occasion.push is not None):
            return False
        if not self.rule.when.holds(occasion) or not self.fault.concerns(occasion):
            return False
        if not self.fault.once_per_connection:
            return self._decide()
        if self.number not in decided:
            decided[self.number] = self._decide()
        return decided[self.number]

    def _decide(self) -> bool:
        self.times += 1
        if not self.rule.when.allows(self.times):
            return False
        return self.rule.probability >= 1 or self.dice.fraction() < self.rule.probability


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
    _of: dict[str, tuple[Active, ...]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def rules(self) -> Sequence[tuple[int, Rule]]:
        """All of them with their numbers, in the order in which they were set."""
        return list(self._rules.items())

    def set(self, rule: Rule) -> int:
        """Let a rule count from now on; its number."""
        number = next(self._numbers)
        self.generation += 1
        self._rules[number] = rule
        for name in rule.names or ():
            self._by_name[name].append(number)
        if rule.names is None:
            self._general.append(number)
        self._look_anew()
        return number

    def remove(self, number: int) -> bool:
        """Let a rule count no longer; False when there is none of this number."""
        rule = self._rules.pop(number, None)
        if rule is None:
            return False
        self.generation += 1
        for name in rule.names or ():
            self._by_name[name].remove(number)
        if rule.names is None:
            self._general.remove(number)
        self._look_anew()
        return True

    def reset(self) -> int:
        """Back to health; the number of rules that counted."""
        rules = len(self._rules)
        self.generation += 1
        self._rules, self._by_name, self._general, self._of = {}, defaultdict(list), [], {}
        return rules

    def of(self, name: str) -> tuple[Active, ...]:
        """The faults of a meter, in the order of their rules."""
        if not self._rules:
            return NONE
        if name not in self._of and (made := self._made(name, {})):
            self._of[name] = made
        return self._of.get(name, NONE)

    def happened(self, active: Active) -> None:
        """Count it."""
        self.counts[active.rule.fault] += 1

    def _made(self, name: str, before: dict[int, Active]) -> tuple[Active, ...]:
        numbers = sorted([*self._by_name.get(name, ()), *self._general])
        groups = self.groups_of(name) if numbers else ()
        chosen = [(number, self._rules[number]) for number in numbers]
        return tuple(
            before.get(number) or _active(number, rule, name)
            for number, rule in chosen
            if rule.applies_to(name, groups)
        )

    def _look_anew(self) -> None:
        """Which faults meters have; what those that stay remember is kept."""
        before = {name: {one.number: one for one in faults} for name, faults in self._of.items()}
        made = {name: self._made(name, faults) for name, faults in before.items()}
        self._of = {name: faults for name, faults in made.items() if faults}


def disturbed(faults: Faults, meter: str, octets: bytes, occasion: Occasion) -> Sequence[Effect]:
    """What becomes of the push of a meter: reports of the faults that happen, and waits and sends in their order."""
    leaving: Sequence[Effect] = (Send(octets),)
    reports: list[Effect] = []
    for one in faults.of(meter):
        if one.fault.has("on_frame") and one.happens(occasion, {}):
            faults.happened(one)
            reports.append(Report(FaultHappened(meter=meter, fault=one.rule.fault, rule=one.number)))
            leaving = one.fault.on_frame(leaving, occasion)
    return (*reports, *leaving)


def _active(number: int, rule: Rule, name: str) -> Active:
    return Active(
        number,
        rule,
        rule.parameters.of_its_own(Dice(rule.seed, "inside", rule.fault, name)),
        Dice(rule.seed, "whether", rule.fault, name),
    )
