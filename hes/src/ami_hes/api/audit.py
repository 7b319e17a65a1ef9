"""`/api/v1/audit`: the audit log as it is kept, for who reads, searches, checks or exports it. Nothing changes it here."""

from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.readings import moment
from ami_hes.api.values.audit import MAX_LISTED, AuditFindings, AuditList, CheckState
from ami_hes.audit import What
from ami_hes.audit_checks import AuditCheck
from ami_hes.store import AuditLog, AuditSearch
from ami_process.api import answer_of
from ami_process.query_parameters import check_known

DEFAULT_LISTED = 100
MOST_NUMBER = 10**12
_TEXTS = ("principal", "meter", "request")


def audit_routes(log: AuditLog, check: AuditCheck, zone: ZoneInfo) -> list[Route]:
    """GET gives the last entries, or with `after` those behind a number, also of those about a `request`; searches; POST checks the chain."""

    async def show(request: Request) -> Response:
        check_known(request, ("limit", "after", "request"))
        limit = query.number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
        about = request.query_params.get("request")
        with query.looking():
            if about is not None:
                page = await log.of_request(about, query.number_from_0(request, "after", MOST_NUMBER), limit)
            elif "after" in request.query_params:
                page = await log.page(query.number_from_0(request, "after", MOST_NUMBER), limit)
            else:
                page = await log.latest(limit)
        return answer_of(AuditList.of(page))

    async def search(request: Request) -> Response:
        check_known(request, (*_TEXTS, "what", "from", "to", "before", "limit"))
        limit = query.number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
        before = query.number(request, "before", MOST_NUMBER, MOST_NUMBER)
        since, until = (moment(request, name, zone) for name in ("from", "to"))
        texts = {name: request.query_params.get(name, "") for name in _TEXTS}
        wanted = AuditSearch(**texts, what=query.word(request, "what", What) or "", since=since, until=until)
        with query.looking():
            return answer_of(AuditFindings.of(await log.search(wanted, before, limit)))

    async def say_check(_: Request) -> Response:
        return given(CheckState.of_progress(check.progress), zone)

    async def begin_check(_: Request) -> Response:
        return given(CheckState.of_progress(check.begin()), zone)

    return [
        Route(paths.AUDIT, show, methods=["GET"]),
        Route(paths.AUDIT_SEARCH, search, methods=["GET"]),
        Route(paths.AUDIT_CHECK, say_check, methods=["GET"]),
        Route(paths.AUDIT_CHECK, begin_check, methods=["POST"]),
    ]
