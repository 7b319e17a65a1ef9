"""`/api/v1/audit`: the audit log as it is kept, for who reads, checks or exports it. Nothing changes it here."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.audit import Chain, Link
from ami_hes.store import AuditLog, AuditPage
from ami_process.api import answer_of
from ami_process.query_parameters import check_known

DEFAULT_LISTED, MAX_LISTED = 100, 1_000
MOST_NUMBER = 10**12


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


def audit_routes(log: AuditLog) -> list[Route]:
    """GET gives the last entries, or with `after` those behind a number, or with `request` those about a request."""

    async def show(request: Request) -> Response:
        check_known(request, ("limit", "after", "request"))
        limit = query.number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
        about = request.query_params.get("request")
        with query.looking():
            if about is not None:
                page = AuditPage(await log.of_request(about), (await log.latest(1)).chain)
            elif "after" in request.query_params:
                page = await log.page(query.number_from_0(request, "after", MOST_NUMBER), limit)
            else:
                page = await log.latest(limit)
        return answer_of(AuditList.of(page))

    return [Route(paths.AUDIT, show, methods=["GET"])]
