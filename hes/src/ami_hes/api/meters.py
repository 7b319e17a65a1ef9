"""`/api/v1/meters` and `/api/v1/groups`: the registry, to be looked at and imported into."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import audited, paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.meters import (
    MAX_LISTED,
    Commissioned,
    GroupCounts,
    ImportReport,
    MeterEntry,
    MeterImport,
    MeterLine,
    MeterList,
    RowResult,
)
from ami_hes.enums import MeterState
from ami_hes.meters.meter_index import Table
from ami_hes.meters.registry import Meter
from ami_hes.registry import CommissioningBook, ImportRow, KeptRegistry, OfConfiguration, RowOutcome, RowReport
from ami_hes.registry.packed_meters import table_of
from ami_hes.store import StoredMeter
from ami_mapping.controls import CONTROLS
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known
from ami_registry import defaults_of

DEFAULT_LISTED = 100


def meter_routes(kept: KeptRegistry, commissioning: CommissioningBook, zone: tzinfo) -> list[Route]:
    """GET lists, shows and counts; POST imports rows, DELETE takes out what was imported. `zone`: in which times are given."""
    meters = _Meters(kept, commissioning, zone)
    return [
        Route(paths.METERS, meters.list, methods=["GET"]),
        Route(paths.METERS, meters.take_in, methods=["POST"]),
        Route(paths.METER, meters.show, methods=["GET"]),
        Route(paths.METER, meters.remove, methods=["DELETE"]),
        Route(paths.GROUPS, meters.count_groups, methods=["GET"]),
    ]


class _Meters:
    """What each route answers."""

    def __init__(self, kept: KeptRegistry, commissioning: CommissioningBook, zone: tzinfo) -> None:
        self._kept = kept
        self._commissioning = commissioning
        self._zone = zone

    async def list(self, request: Request) -> Response:
        check_known(request, ("limit", "after", "group", "state"))
        limit = query.number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
        group, after = query.group(request, "group"), request.query_params.get("after", "")
        listing = await self._kept.listing(group, after, limit, self._in(query.word(request, "state", MeterState)))
        lines = tuple(_line(one, table, self._commissioning.state_of(one.mrid)) for one, table in listing.meters)
        following = lines[-1].name if listing.more and lines else None
        return answer_of(MeterList(meters=lines, total=listing.total, next=following))

    async def show(self, request: Request) -> Response:
        check_known(request, ())
        name = request.path_params["name"]
        found = self._kept.show(name)
        if found is None:
            raise _unknown(name)
        meter, mrid = self._kept.registry.find_by_mrid(found[0].mrid), found[0].mrid
        with query.looking():
            kept = await self._commissioning.find(mrid)
        commissioned = None if kept is None else Commissioned.of(kept)
        return given(_entry(*found, meter, self._commissioning.state_of(mrid), commissioned), self._zone)

    async def remove(self, request: Request) -> Response:
        name = request.path_params["name"]
        found = self._kept.show(name)
        meter = None if found is None else self._kept.registry.find_by_mrid(found[0].mrid)
        try:
            with query.looking():
                removed = await self._kept.remove(name)
        except OfConfiguration as problem:
            raise ApiRefused(HTTPStatus.CONFLICT, str(problem)) from None
        if removed is None:
            raise _unknown(name)
        return answer_of(_entry(removed, table_of(removed), meter, self._commissioning.state_of(removed.mrid)))

    async def take_in(self, request: Request) -> Response:
        wanted = await read_body(request, MeterImport)
        rows = [ImportRow(row.place, row.columns) for row in wanted.rows]
        with query.looking():
            report = await self._kept.import_rows(rows, check=wanted.check)
        audited.note(request, _said(report, check=wanted.check), () if wanted.check else _imported(report, self._kept))
        return answer_of(ImportReport(rows=tuple(RowResult.of(one) for one in report)))

    def _in(self, state: MeterState | None) -> Callable[[Iterable[str]], Sequence[str]]:
        """What leaves those of mRIDs whose meters are in a state; None: all."""
        return tuple if state is None else lambda mrids: self._commissioning.in_state(state, mrids)

    async def count_groups(self, request: Request) -> Response:
        check_known(request, ())
        return answer_of(GroupCounts(groups={tag: dict(of) for tag, of in self._kept.registry.groups().items()}))


def _said(report: Sequence[RowReport], *, check: bool) -> str:
    counts = Counter(str(one.outcome) for one in report)
    said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    return f"{'check only: ' if check else ''}{said}"


def _imported(report: Sequence[RowReport], kept: KeptRegistry) -> list[tuple[str, str]]:
    """Name and mRID of the meters whose entries have changed."""
    changed = (RowOutcome.ACCEPTED, RowOutcome.CHANGED)
    names = [one.meter for one in report if one.meter is not None and one.outcome in changed]
    return [(name, kept.registry.owner("name", name) or "") for name in names]


def _line(stored: StoredMeter, table: Table, state: MeterState) -> MeterLine:
    return MeterLine(
        name=stored.name,
        mrid=str(table["mrid"]),
        address=str(table.get("address") or f"channel {table['channel']} of {table['behind']}"),
        source=stored.source,
        tags=dict(table.get("tags", {})),
        state=state,
    )


def _unknown(name: str) -> ApiRefused:
    return ApiRefused(HTTPStatus.NOT_FOUND, f"there is no meter with the name or mRID {name[:100]}")


def _entry(
    stored: StoredMeter,
    table: Table,
    meter: Meter | None,
    state: MeterState,
    commissioning: Commissioned | None = None,
) -> MeterEntry:
    return MeterEntry(
        name=stored.name,
        mrid=str(table["mrid"]),
        source=stored.source,
        entry=dict(table),
        defaults={} if meter is None else _defaults(meter),
        secrets=tuple(key.purpose for key in stored.keys),
        state=state,
        commissioning=commissioning,
    )


def _defaults(meter: Meter) -> dict[str, object]:
    """The object of the control is that of the mapping's table; a sub-meter has none that is served."""
    if meter.behind:
        return defaults_of(meter)
    objects = {str(one.obis) for one in CONTROLS.values() if one.is_switch}
    disconnect_object = {} if meter.disconnect_object is not None else {"disconnect_object": ", ".join(sorted(objects))}
    return defaults_of(meter) | disconnect_object
