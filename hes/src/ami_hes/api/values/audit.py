"""Entries of the audit log and the check of its chain, as `/api/v1/audit` gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ami_hes.api.values.moments import Moment
from ami_hes.audit import Anchor, Chain, Link

if TYPE_CHECKING:
    from ami_hes.audit_checks import Progress
    from ami_hes.store import AuditFound, AuditPage

MAX_LISTED = 1_000


class AuditRecord(BaseModel):
    """An entry: its canonical text, and its hash (docs/howto/audit.md says how to check it)."""

    model_config = ConfigDict(frozen=True)

    seq: int
    entry: str
    hash: str
    misfiled: bool = False
    """Whether the store finds it under another time or request than it says."""

    @classmethod
    def of(cls, link: Link) -> Self:
        return cls(seq=link.seq, entry=link.text, hash=link.hash, misfiled=link.misfiled)

    def link(self) -> Link:
        return Link(self.seq, self.entry, self.hash, self.misfiled)


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
    def of(cls, page: AuditPage) -> AuditList:
        records = tuple(map(AuditRecord.of, page.links))
        return cls(entries=records, chain=AuditChain(**page.chain._asdict()))


class AuditFindings(BaseModel):
    """Entries, the latest first. `next`: there may be more before this number; only so many entries are looked through at once."""

    model_config = ConfigDict(frozen=True)

    entries: tuple[AuditRecord, ...]
    chain: AuditChain
    next: int | None

    @classmethod
    def of(cls, found: AuditFound) -> Self:
        records = tuple(map(AuditRecord.of, found.links))
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
