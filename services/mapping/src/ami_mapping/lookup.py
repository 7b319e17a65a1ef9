"""From an attribute to its ReadingType and back: the rows as two dictionaries, and how a meter's profiles are read.

A table is made once, of the rows and aliases that a deployment serves; a lookup costs a few probes of a dictionary.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.obis import Obis
from ami_mapping.patterns import CHANNEL, NO_PERIOD, PERIOD, Bindings, Field, candidates, code_candidates
from ami_mapping.profiles import Profile
from ami_mapping.reading_types import TOU, ReadingType, refused
from ami_mapping.readings import Confidence, Direction, ReadingRow, Reads, all_rows

BILLING_PROFILES = 98
"""Group D of a profile whose rows are captured at the end of a billing period and not by a capture period."""
AttributeKey = tuple[tuple[Field, ...], int, int, str]


class NoReadingType(LookupError):
    """An attribute in a context that has no ReadingType here; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Match:
    """A row, and what its open places are in this case."""

    row: ReadingRow
    bindings: Bindings

    def reading_type(self, multiplier: int = 0, currency: int = 0) -> ReadingType:
        """The canonical code; `multiplier` is a power of ten from its list (`ami_mapping.values.multiplier_for`)."""
        return self.row.code.fill(self.bindings, multiplier, currency)

    def descriptor(self, *, channel: int | None = None, period: int | None = None) -> AttributeDescriptor | None:
        """The attribute to read: of the meter, or as a column of a profile; None when the value is computed from others.

        ValueError for a value of a billing period without `period` (OBIS F): with F=255 it would be the running register.
        """
        if self.row.obis is None:
            return None
        own = self.bindings
        bound = Bindings(
            own.tariff, own.channel if channel is None else channel, own.period if period is None else period
        )
        if PERIOD in self.row.obis.groups and bound.period == NO_PERIOD:
            raise ValueError(f"{self.row.id} is a value of a billing period, and which one is not said")
        return AttributeDescriptor(self.row.class_id, self.row.obis.fill(bound), self.row.attribute)

    def means(self, obis: Obis, *, channel: int | None = None, period: int | None = None) -> bool:
        """Whether an object of a meter has this value, whatever channel the meter gives itself (M-121)."""
        pattern = self.row.obis
        if pattern is None or pattern.groups not in candidates(obis):
            return False
        found = pattern.bindings(obis)
        if PERIOD in pattern.groups and found.period != period:
            return False
        return found.tariff == self.bindings.tariff and (
            CHANNEL not in pattern.groups or channel in (None, found.channel)
        )


class ReadingTable:
    """The rows that are served, by attribute and by code."""

    def __init__(self, rows: Iterable[ReadingRow], partner_aliases: Iterable[str] = ()) -> None:
        """`partner_aliases` are ids of rows whose doubtful aliases are accepted too (M-122)."""
        self.rows = tuple(rows)
        accepted = set(partner_aliases)
        self._by_attribute: dict[AttributeKey, ReadingRow] = {}
        self._by_code: dict[tuple[Field, ...], list[ReadingRow]] = {}
        self._by_alias: dict[tuple[Field, ...], list[ReadingRow]] = {}
        self._by_object: dict[tuple[tuple[Field, ...], int], list[ReadingRow]] = {}
        for row in self.rows:
            if row.obis is not None and row.direction is not Direction.FROM_CIM:
                self._by_attribute[row.obis.groups, row.class_id, row.attribute, row.context.name] = row
                self._by_object.setdefault((row.obis.groups, row.class_id), []).append(row)
            if row.direction is not Direction.TO_CIM:
                self._by_code.setdefault(row.code.fields, []).append(row)
                self._add_aliases(row, row.id in accepted)
        self._profile_contexts = self._contexts_by_period()
        for found in (*self._by_code.values(), *self._by_alias.values()):
            found.sort(key=lambda row: row.first != "")

    def _add_aliases(self, row: ReadingRow, doubtful: bool) -> None:
        for alias in (*row.aliases, *(row.partner_aliases if doubtful else ())):
            free = alias.without_multiplier() if row.code.field("multiplier") == "m" else alias
            self._by_alias.setdefault(free.fields, []).append(row)

    def code_of(self, attribute: AttributeDescriptor, context: str) -> Match:
        """The row of an attribute that was read or captured in a context; NoReadingType when there is none (M-121)."""
        match = self._find(attribute, context)
        if match is None:
            raise NoReadingType(f"{attribute} has no ReadingType in the context {context!r}")
        return match

    def _find(self, attribute: AttributeDescriptor, context: str) -> Match | None:
        obis = attribute.instance_id
        for groups in candidates(obis):
            row = self._by_attribute.get((groups, attribute.class_id, attribute.attribute_id, context))
            if row is not None and row.obis is not None:
                return Match(row, row.obis.bindings(obis))
        return None

    def rows_of(self, obis: Obis) -> tuple[Match, ...]:
        """Every row of an OBIS code, whatever its class, attribute and context, in the order of the table."""
        wanted = set(candidates(obis))
        return tuple(
            Match(row, row.obis.bindings(obis))
            for row in self.rows
            if row.obis is not None and row.obis.groups in wanted
        )

    def of_object(self, class_id: int, obis: Obis) -> tuple[Match, ...]:
        """Every row that an object of a meter has a code by, whatever its attribute and context."""
        return tuple(
            Match(row, row.obis.bindings(obis))
            for groups in candidates(obis)
            for row in self._by_object.get((groups, class_id), ())
            if row.obis is not None
        )

    def answers(self, code: ReadingType | str, context: str | None = None) -> tuple[Match, ...]:
        """The rows that answer a request for a code, the one to try first in front (M-120, M-123).

        A `context` (the request has a time range, or names a profile) leaves those of that context alone, if there are any.
        RefusedReadingType with 2.6 or 2.10 when there is no row at all.
        """
        code = ReadingType.parse(code) if isinstance(code, str) else code
        for index in (self._by_code, self._by_alias):
            for fields in code_candidates(code):
                if found := index.get(fields):
                    chosen = [row for row in found if row.context.name == context] or found
                    return tuple(Match(row, Bindings(tariff=code[TOU])) for row in chosen)
        raise refused(code, "")

    def is_alias(self, code: ReadingType) -> bool:
        """Whether a code is served under another name than its own."""
        return not any(fields in self._by_code for fields in code_candidates(code))

    def column(self, profile: Profile, column: CaptureObject, medium: str | None = None) -> Match:
        """The row of a column of a meter's profile (M-104, M-105); NoReadingType when its period or object has none.

        `medium` is that of the M-Bus channel (`ami_mapping.mbus.medium_of`); without it a channel's value has no row (M-117).
        """
        contexts = self._contexts_of(profile)
        if not contexts:
            raise NoReadingType(
                f"no ReadingType has a measuring period of {profile.capture_period_s} s, the capture period of {profile.obis}"
            )
        descriptor = AttributeDescriptor(column.class_id, column.logical_name, column.attribute_index)
        found = [match for context in contexts if (match := self._find(descriptor, context)) and not match.row.computed]
        fitting = [match for match in found if match.row.context.medium in ("", medium)]
        if len(fitting) == 1:
            return fitting[0]
        why = f" of the medium {medium or 'that is not given'}" if found else ""
        if fitting:
            why = f" of its own, it may be {' or '.join(match.row.context.name for match in fitting)}"
        raise NoReadingType(f"{descriptor} as a column of {profile.obis} has no ReadingType{why}")

    def find_column(
        self, match: Match, profiles: Sequence[Profile], *, channel: int | None = None
    ) -> tuple[Profile, int] | None:
        """The profile that has the values of a match and the place of its column from 0; None when no profile has them."""
        row = match.row
        for profile in profiles:
            if row.context.name not in self._contexts_of(profile):
                continue
            for place, column in enumerate(profile.columns):
                same = (column.class_id, column.attribute_index) == (row.class_id, row.attribute)
                if same and match.means(column.logical_name, channel=channel):
                    return profile, place
        return None

    def _contexts_of(self, profile: Profile) -> tuple[str, ...]:
        by_schedule = profile.capture_period_s == 0
        if by_schedule and profile.obis[2:4] != bytes((BILLING_PROFILES, 1)):
            return ()
        return self._profile_contexts.get(None if by_schedule else profile.capture_period_s, ())

    def _contexts_by_period(self) -> dict[int | None, tuple[str, ...]]:
        found: dict[int | None, dict[str, None]] = {}
        for row in self.rows:
            if row.context.reads is Reads.PROFILE:
                found.setdefault(row.context.capture_period_s, {})[row.context.name] = None
        return {period: tuple(names) for period, names in found.items()}


def first_in_meter(
    matches: Iterable[Match],
    objects: Collection[tuple[int, Obis]],
    *,
    channel: int | None = None,
    period: int | None = None,
) -> tuple[Match, AttributeDescriptor] | None:
    """The first of these that a meter can answer, by class and logical name of its objects, and the attribute there.

    None is code 5.6 (M-127). A value that is computed counts when the object is there that it is computed from.
    """
    for match in matches:
        for class_id, obis in objects:
            if class_id == match.row.class_id and match.means(obis, channel=channel, period=period):
                return match, AttributeDescriptor(class_id, obis, match.row.attribute)
    return None


@cache
def readings(*, unsure: bool = False) -> ReadingTable:
    """The table of this package; with `unsure` also the rows that rest on a choice without evidence (M-124)."""
    return ReadingTable(row for row in all_rows() if unsure or row.confidence is not Confidence.UNSURE)
