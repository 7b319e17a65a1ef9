"""`/api/v1/audit`: the audit log as it is kept, for who reads, searches, checks or exports it. Nothing changes it here."""

from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import Moment, given
from ami_hes.api.readings import moment
from ami_hes.audit import Anchor, Chain, Link, What
from ami_hes.audit_checks import AuditCheck, Progress
from ami_hes.store import AuditFound, AuditLog, AuditPage, AuditSearch
from ami_process.api import answer_of
from ami_process.query_parameters import check_known

DEFAULT_LISTED, MAX_LISTED = 100, 1_000
MOST_NUMBER = 10**12
_TEXTS = ("principal", "meter", "request")


class AuditRecord(BaseModel):
    """An entry: its canonical text, and its hash (docs/howto/audit.md says how to check it)."""

    model_config = ConfigDict(frozen=True)

    seq: int
    entry: str
    hash: str

    def link(self) -> Link:
        return Link(self.seq, self.entry, self.hash)


class AuditChain(BaseModel):
    """`base_seq` and `base_hash`: of the last entry that was dropped by age; `seq` and `hash`: of the last one there is."""

    model_config = ConfigDict(frozen=True)

    base_seq: int
    base_hash: str
    seq: int
    hash: str

    def chain(self) -> Chain:
        return Chain(self.base_seq, self.base_hash, self.seq, self.hash)


class AuditList(BaseModel):
    """Entries in their order, and the chain as it was at that moment."""

    model_config = ConfigDict(frozen=True)

    entries: tuple[AuditRecord, ...]
    chain: Annotated[AuditChain, Field()]

    @classmethod
    def of(cls, page: AuditPage) -> "AuditList":
        records = tuple(AuditRecord(seq=one.seq, entry=one.text, hash=one.hash) for one in page.links)
        return cls(entries=records, chain=AuditChain(**page.chain._asdict()))


class AuditFindings(BaseModel):
    """Entries, the latest first. `next`: there may be more before this number; only so many entries are looked through at once."""

    model_config = ConfigDict(frozen=True)

    entries: tuple[AuditRecord, ...]
    chain: AuditChain
    next: int | None

    @classmethod
    def of(cls, found: AuditFound) -> Self:
        records = tuple(AuditRecord(seq=one.seq, entry=one.text, hash=one.hash) for one in found.links)
        return cls(entries=records, chain=AuditChain(**found.chain._asdict()), next=found.next)


class CheckState(BaseModel):
    """The last check of the whole chain by this process, or the one under way; `anchor` is to be kept where the head-end can't write."""

    model_config = ConfigDict(frozen=True)

    running: bool
    entries: int
    of: int
    whole: bool | None
    """None: not known yet."""
    problems: tuple[str, ...]
    anchor: str | None
    began_at: Moment | None
    ended_at: Moment | None

    @classmethod
    def of_progress(cls, progress: Progress | None) -> Self:
        if progress is None:
            nothing = {"whole": None, "anchor": None, "began_at": None, "ended_at": None}
            return cls(running=False, entries=0, of=0, problems=(), **nothing)
        return cls(
            running=progress.ended_at is None,
            entries=progress.entries,
            of=progress.of,
            whole=progress.whole,
            problems=tuple(progress.problems),
            anchor=None if progress.anchor is None else Anchor.format(progress.anchor),
            began_at=progress.began_at,
            ended_at=progress.ended_at,
        )


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
