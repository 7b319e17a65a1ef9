"""`/api/v1/meters` and `/api/v1/groups`: the registry, to be looked at and imported into."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.values import (
    MAX_LISTED,
    GroupCounts,
    ImportReport,
    MeterEntry,
    MeterImport,
    MeterLine,
    MeterList,
    RowResult,
)
from ami_hes.meters.meter_index import Table
from ami_hes.meters.registry import Meter
from ami_hes.registry import ImportRow, KeptRegistry, OfConfiguration
from ami_hes.registry.packed_meters import table_of
from ami_hes.store import StoredMeter
from ami_mapping.controls import CONTROLS
from ami_process.api import ApiRefused, read_body
from ami_registry import defaults_of

DEFAULT_LISTED = 100


def meter_routes(kept: KeptRegistry) -> list[Route]:
    """GET lists, shows and counts; POST imports rows, DELETE takes out what was imported."""

    async def list_meters(request: Request) -> Response:
        query.known(request, ("limit", "after", "group"))
        limit = query.number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
        listing = kept.listing(query.group(request, "group"), request.query_params.get("after", ""), limit)
        lines = tuple(
            MeterLine(
                name=one.name,
                mrid=str(table["mrid"]),
                address=str(table["address"]),
                source=one.source,
                tags=dict(table.get("tags", {})),
            )
            for one, table in listing.meters
        )
        return query.given(
            MeterList(meters=lines, total=listing.total, next=lines[-1].name if listing.more and lines else None)
        )

    async def show_meter(request: Request) -> Response:
        name = request.path_params["name"]
        found = kept.show(name)
        if found is None:
            raise _unknown(name)
        return query.given(_entry(*found, kept.registry.find_by_mrid(found[0].mrid)))

    async def remove_meter(request: Request) -> Response:
        name = request.path_params["name"]
        found = kept.show(name)
        meter = None if found is None else kept.registry.find_by_mrid(found[0].mrid)
        try:
            with query.looking():
                removed = await kept.remove(name)
        except OfConfiguration as problem:
            raise ApiRefused(HTTPStatus.CONFLICT, str(problem)) from None
        if removed is None:
            raise _unknown(name)
        return query.given(_entry(removed, table_of(removed), meter))

    async def import_meters(request: Request) -> Response:
        wanted = await read_body(request, MeterImport)
        rows = [ImportRow(row.place, row.columns) for row in wanted.rows]
        with query.looking():
            report = await kept.import_rows(rows, check=wanted.check)
        return query.given(ImportReport(rows=tuple(RowResult.of(one) for one in report)))

    async def count_groups(_: Request) -> Response:
        return query.given(GroupCounts(groups={tag: dict(of) for tag, of in kept.registry.groups().items()}))

    return [
        Route(paths.METERS, list_meters, methods=["GET"]),
        Route(paths.METERS, import_meters, methods=["POST"]),
        Route(paths.METER, show_meter, methods=["GET"]),
        Route(paths.METER, remove_meter, methods=["DELETE"]),
        Route(paths.GROUPS, count_groups, methods=["GET"]),
    ]


def _unknown(name: str) -> ApiRefused:
    return ApiRefused(HTTPStatus.NOT_FOUND, f"there is no meter with the name or mRID {name[:100]}")


def _entry(stored: StoredMeter, table: Table, meter: Meter | None) -> MeterEntry:
    return MeterEntry(
        name=stored.name,
        mrid=str(table["mrid"]),
        source=stored.source,
        entry=dict(table),
        defaults={} if meter is None else _defaults(meter),
        secrets=tuple(key.purpose for key in stored.keys),
    )


def _defaults(meter: Meter) -> dict[str, object]:
    """The object of the control is that of the mapping's table."""
    objects = {str(one.obis) for one in CONTROLS.values()}
    disconnect_object = {} if meter.disconnect_object is not None else {"disconnect_object": ", ".join(sorted(objects))}
    return defaults_of(meter) | disconnect_object
