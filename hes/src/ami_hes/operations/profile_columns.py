"""Which columns of which of a meter's profiles answer what was asked, and by which attributes and selections they are read.

Pure. Meters of one model share what is known of their profiles, and thousands of them are asked the same: it is found once for all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.datetimes import CosemDateTime
from ami_hes.meters.known_objects import attributes_of_profile
from ami_hes.operations.asked_types import Asked
from ami_hes.operations.profile_rows import columns_of
from ami_hes.operations.sub_meter_rows import capture_place
from ami_mapping.attributes import scaler_unit_of
from ami_mapping.lookup import Match, ReadingTable
from ami_mapping.profiles import Profile

MOST_KEPT = 64
"""Of what was found, and of selections."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that answers what was asked."""

    asked: Asked
    match: Match
    place: int
    scaler_unit: AttributeDescriptor | None
    captured: int | None = None
    """The column with when the sub-meter gave the value."""


@dataclass(frozen=True, slots=True)
class WantedProfile:
    """A profile with columns that are wanted."""

    profile: Profile
    columns: tuple[Column, ...]
    places: tuple[int, ...]
    """Of all columns that are to be read beside the clock, that with the status among them."""
    described: tuple[AttributeDescriptor, ...]
    """What says what the profile captures and how often."""
    scalers: tuple[AttributeDescriptor, ...]


@lru_cache(maxsize=MOST_KEPT)
def find_columns(
    asked: tuple[Asked, ...], profiles: tuple[Profile, ...], table: ReadingTable, channel: int | None
) -> tuple[tuple[WantedProfile, ...], tuple[Asked, ...]]:
    """The profiles that have what is asked, and what none of them has; `channel` is that of a sub-meter, whose columns are asked for alone."""
    columns: dict[Profile, list[Column]] = {}
    absent: list[Asked] = []
    for one in asked:
        found = next(_places(one, profiles, table, channel), None)
        if found is None:
            absent.append(one)
            continue
        match, profile, place = found
        captured = profile.columns[place]
        value = AttributeDescriptor(captured.class_id, captured.logical_name, captured.attribute_index)
        given_at = None if channel is None else capture_place(profile, value)
        column = Column(one, match, place, scaler_unit_of(match.row, value), given_at)
        columns.setdefault(profile, []).append(column)
    return tuple(_wanted(profile, tuple(of_it)) for profile, of_it in columns.items()), tuple(absent)


def _places(
    one: Asked, profiles: tuple[Profile, ...], table: ReadingTable, channel: int | None
) -> Iterator[tuple[Match, Profile, int]]:
    for match in one.matches:
        if (found := table.find_column(match, profiles, channel=channel)) is not None:
            yield match, *found


def _wanted(profile: Profile, columns: tuple[Column, ...]) -> WantedProfile:
    captured = [column.captured for column in columns if column.captured is not None]
    return WantedProfile(
        profile,
        columns,
        columns_of(profile, [*(column.place for column in columns), *captured]),
        attributes_of_profile(profile.obis),
        tuple(dict.fromkeys(column.scaler_unit for column in columns if column.scaler_unit)),
    )


@lru_cache(maxsize=MOST_KEPT)
def rows_between(profile: Profile, first: int, last: int, places: tuple[int, ...] = ()) -> SelectiveAccess:
    """The selection of the rows from a second since 1970 to another one, both included; as `Profile.between`."""
    start, end = (CosemDateTime.from_datetime(datetime.fromtimestamp(at, UTC)) for at in (first, last))
    return profile.between(start, end, places)
