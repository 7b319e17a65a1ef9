"""`/api/v1/traces`: what happened for one request, from the CIM message to each APDU, and which requests there are to look at."""

import json
from collections.abc import Callable
from datetime import tzinfo
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ami_console.trace_file import trace_file
from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.traces import TraceLine, TraceList
from ami_hes.store import RequestFilter
from ami_hes.traces import RETRY_AFTER_S, TraceBook, TracesBusy
from ami_process.api import JSON, ApiRefused
from ami_process.query_parameters import check_known, wrong
from ami_trace.captured import captured
from ami_trace.form import Trace
from ami_trace.pcapng import Dissector
from ami_trace.striking import redacted
from ami_trace.view import view_of

MOST_LISTED = 200
DEFAULT_LISTED = 20


class Form(StrEnum):
    """What a trace is given as: itself, what the console draws, one HTML file, or a capture."""

    TRACE = "trace"
    VIEW = "view"
    HTML = "html"
    PCAPNG = "pcapng"


class CompanionFor(StrEnum):
    """Who reads the clear APDUs of a capture: Wireshark from 4.6 itself, or the plug-in amidlms."""

    STOCK = "stock"
    PLUGIN = "plugin"

    @property
    def dissector(self) -> Dissector:
        return Dissector[self.name]


_FILES = {Form.HTML: (".html", "text/html"), Form.PCAPNG: (".clear.pcapng", "application/x-pcapng")}
"""Forms that are kept as files, with the ends of their names."""


def trace_routes(book: TraceBook, zone: tzinfo, name_of: Callable[[str], str | None] = lambda _: None) -> list[Route]:
    """GET lists and shows. `zone`: in which times of the list are given; `name_of`: how the meter of an mRID is called."""

    async def listed(request: Request) -> Response:
        check_known(request, ("limit", "before", "failed", "noun", "meter", "pushes"))
        of_meter, pushes = query.text(request, "meter"), query.truth(request, "pushes")
        if pushes and "noun" in request.query_params:
            raise wrong("noun: pushes have none")
        if pushes and of_meter is not None:
            of_meter = name_of(of_meter) or of_meter
        wanted = RequestFilter(
            limit=query.number(request, "limit", DEFAULT_LISTED, MOST_LISTED),
            failed=query.truth(request, "failed"),
            noun=query.text(request, "noun"),
            meter=of_meter,
            before=query.text(request, "before"),
        )
        with query.looking():
            lines = await (book.pushes(wanted) if pushes else book.requests(wanted))
        following = lines[-1].message_id if len(lines) == wanted.limit else None
        return given(TraceList(traces=tuple(map(TraceLine.of, lines)), next=following), zone)

    async def shown(request: Request) -> Response:
        check_known(request, ("redacted", "as", "companion"))
        form = query.word(request, "as", Form) or Form.TRACE
        reader = query.word(request, "companion", CompanionFor) or CompanionFor.STOCK
        write = partial(_written, form, strike=query.truth(request, "redacted"), dissector=reader.dissector)
        message_id = request.path_params["message_id"]
        try:
            async with book.turns.turn():
                written = await _found(message_id, write)
        except TracesBusy as busy:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            return JSONResponse({"error": str(busy)}, HTTPStatus.SERVICE_UNAVAILABLE, headers)
        suffix, media_type = _FILES.get(form, ("", JSON))
        headers = {"Content-Disposition": f'attachment; filename="trace{suffix}"'} if suffix else {}
        return Response(written, headers=headers, media_type=media_type)

    async def _found(message_id: str, write: Callable[[Trace], bytes]) -> bytes:
        with query.looking():
            trace = await book.trace(message_id)
        if trace is None:
            raise ApiRefused(
                HTTPStatus.NOT_FOUND,
                f"no request with the MessageID {message_id[:100]} is kept, and no push or event with this id",
            )
        return await book.written(write, trace)

    return [Route(paths.TRACES, listed, methods=["GET"]), Route(paths.TRACE, shown, methods=["GET"])]


def _written(form: Form, trace: Trace, *, strike: bool, dissector: Dissector) -> bytes:
    trace = redacted(trace) if strike else trace
    match form:
        case Form.TRACE:
            return trace.model_dump_json().encode()
        case Form.VIEW:
            return json.dumps(view_of(trace)).encode()
        case Form.HTML:
            return trace_file(view_of(trace)).encode()
        case Form.PCAPNG:
            return b"".join(captured(trace, f"ami-hes {version('ami-hes')}", dissector))
