"""GET `/api/v1/readings`: what the store keeps of meters as CSV or Parquet, part by part while it is read, however much it is.

A part is read when the one before it has been sent, so that neither a large answer nor a slow reader fills the memory. An answer that breaks
off has no end as HTTP has one: who reads it can tell.
"""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from http import HTTPStatus
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ami_cim.identity import is_uuid
from ami_cim.reading_type_names import UnknownType
from ami_hes.api import paths
from ami_hes.api.reading_types import code_of
from ami_hes.meters.registry import Registry
from ami_hes.store import NEEDS_PYARROW, Extract, Readings, csv_parts, parquet_is_possible, parquet_parts
from ami_mapping.reading_types import ReadingType
from ami_process.api import ApiRefused
from ami_process.local_times import NoSuchTime, at_home
from ami_process.query_parameters import check_known, values_of, wrong

MOST_AT_ONCE = 2
"""Answers that are being written; each reads the store beside the work of the head-end."""
MOST_NAMED = 100
"""Meters, and reading types; who wants more takes all and sorts them out."""
CSV = "text/csv; charset=utf-8; header=present"
PARQUET = "application/vnd.apache.parquet"


def kept_readings_routes(readings: Readings | None, registry: Registry, zone: ZoneInfo) -> list[Route]:
    """GET gives what is kept; `zone` is that of times without an offset."""
    answers = _Answers()

    async def give(request: Request) -> Response:
        check_known(request, ("meter", "type", "from", "to", "format"), several=("meter", "type"))
        if readings is None:
            raise ApiRefused(HTTPStatus.CONFLICT, "no readings are kept: hes.keep_readings_days is 0")
        since, until = (moment(request, name, zone) for name in ("from", "to"))
        if since is not None and until is not None and until <= since:
            raise wrong(f"to: {until.isoformat()} is not after {since.isoformat()}")
        wanted = Extract.between(
            since,
            until,
            mrids=[_mrid(one, registry) for one in values_of(request, "meter", MOST_NAMED)],
            reading_types=[_reading_type(one) for one in values_of(request, "type", MOST_NAMED)],
        )
        if _format(request) == "csv":
            return answers.streamed(_lines(readings, wanted), CSV)
        return answers.streamed(_row_groups(readings, wanted), PARQUET)

    return [Route(paths.READINGS, give, methods=["GET"])]


class _Answers:
    """Those that are being written."""

    def __init__(self) -> None:
        self._number = 0

    def streamed(self, parts: AsyncIterator[str] | AsyncIterator[bytes], media_type: str) -> Response:
        """An answer of these parts. Raises ApiRefused beyond the most."""
        if self._number >= MOST_AT_ONCE:
            reason = (
                f"{MOST_AT_ONCE} answers with readings are being written, which is the most at once; ask again later"
            )
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        self._number += 1
        return _Answer(parts, media_type, self._end)

    def _end(self) -> None:
        self._number -= 1


class _Answer(StreamingResponse):
    def __init__(
        self, parts: AsyncIterator[str] | AsyncIterator[bytes], media_type: str, end: Callable[[], None]
    ) -> None:
        super().__init__(parts, media_type=media_type)
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()


def _format(request: Request) -> str:
    """`csv` where nothing is said. Raises ApiRefused for Parquet without its extra."""
    wanted = request.query_params.get("format", "csv")
    if wanted not in ("csv", "parquet"):
        raise wrong(f"format: {wanted[:40]!r} is neither csv nor parquet")
    if wanted == "parquet" and not parquet_is_possible():
        raise ApiRefused(HTTPStatus.NOT_IMPLEMENTED, NEEDS_PYARROW)
    return wanted


async def _row_groups(readings: Readings, wanted: Extract) -> AsyncIterator[bytes]:
    async for octets, _ in parquet_parts(readings, wanted):
        yield octets


async def _lines(readings: Readings, wanted: Extract) -> AsyncIterator[str]:
    async for lines, _ in csv_parts(readings, wanted):
        yield lines


def _mrid(name: str, registry: Registry) -> str:
    """Of a meter of the registry, or one that has left it and is named by its mRID."""
    meter = registry.find_by_name(name) or registry.find_by_mrid(name)
    if meter is None and not is_uuid(name):
        raise ApiRefused(HTTPStatus.NOT_FOUND, f"there is no meter with the name or mRID {name[:100]}")
    return name if meter is None else meter.mrid


def _reading_type(text: str) -> str:
    """As it is kept: values have the multiplier 0."""
    try:
        return str(ReadingType.parse(code_of(text))._replace(multiplier=0))
    except UnknownType as problem:
        raise wrong(f"type: {problem}") from None


def moment(request: Request, name: str, zone: ZoneInfo) -> datetime | None:
    """Of a parameter, in this zone where it has no offset; None where it is not there. Raises ApiRefused."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return at_home(datetime.fromisoformat(text), zone)
    except NoSuchTime as problem:
        raise wrong(f"{name}: {problem}") from None
    except ValueError:
        why = "is no time: write 2026-11-28, 2026-11-28T12:00 or 2026-11-28T12:00+01:00"
        raise wrong(f"{name}: {text[:40]!r} {why}") from None
