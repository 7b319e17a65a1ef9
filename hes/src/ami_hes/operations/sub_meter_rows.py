"""Rows of a profile of an M-Bus channel whose value is older than the row: the sub-meter was silent then (docs/mapping.md, M-140).

Pure. The meter captures what it has at the end of each interval, and beside it when the sub-meter gave that.
"""

from bisect import bisect_left
from dataclasses import replace

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DlmsError
from ami_hes.operations.profile_rows import SECOND_MS, Buffer, Cell, seconds_of
from ami_hes.operations.read_results import ReadSeries
from ami_mapping.profiles import Profile
from ami_mapping.qualities import MISSING, SUSPECT, VALID

EXTENDED_REGISTER, CAPTURE_TIME = 4, 5


def capture_place(profile: Profile, value: AttributeDescriptor) -> int | None:
    """The column that says when the value of another one was given; None where the profile has none."""
    wanted = (EXTENDED_REGISTER, value.instance_id, CAPTURE_TIME)
    columns = enumerate(profile.columns)
    return next(
        (place for place, one in columns if (one.class_id, one.logical_name, one.attribute_index) == wanted), None
    )


def doubt_stale(series: ReadSeries, buffer: Buffer, place: int, *, computed: bool) -> ReadSeries:
    """The same, a value suspect that was not given within its own interval; a difference is, if one of its two values is."""
    period_s = buffer.profile.capture_period_s
    if not period_s:
        return series
    line = buffer.timeline
    stale = [
        row is not None and not _is_within(cell, end - period_s, end)
        for row, cell, end in zip(line.rows, buffer.column(place), line.times, strict=True)
    ]
    doubtful = [is_stale or (computed and before) for is_stale, before in zip(stale, (False, *stale), strict=False)]
    if not any(doubtful):
        return series
    first = bisect_left(line.times, series.times[0] // SECOND_MS)
    sets: dict[tuple[str, ...], int] = {}
    of = []
    for said, is_doubtful in zip(series.quality_of, doubtful[first:], strict=True):
        qualities = series.quality_sets[said]
        if is_doubtful and MISSING not in qualities:
            qualities = (*(one for one in qualities if one not in (VALID, SUSPECT)), SUSPECT)
        of.append(sets.setdefault(qualities, len(sets)))
    return replace(series, quality_sets=tuple(sets), quality_of=tuple(of))


def _is_within(cell: Cell, after: int, until: int) -> bool:
    if not isinstance(cell, Data) or cell.tag not in (DataTag.OCTET_STRING, DataTag.DATE_TIME):
        return False
    try:
        given = seconds_of(cell.value if cell.tag is DataTag.OCTET_STRING else cell.value.encode())[0]
    except DlmsError:
        return False
    return after < given <= until
