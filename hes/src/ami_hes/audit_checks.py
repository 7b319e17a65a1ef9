"""The check of the whole audit log by the running head-end: page by page, beside its work, one at a time."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from ami_hes.audit import Anchor, ChainCheck, ChainReport
from ami_hes.store import AuditLog, StoreUnavailable
from ami_process.environment import Environment

PAGE = 1_000


@dataclass(slots=True)
class Progress:
    """How far a check is; `of`: how many entries it checks, which are those that there were when it began; fewer where some are dropped by age meanwhile."""

    began_at: datetime
    entries: int = 0
    of: int = 0
    ended_at: datetime | None = None
    whole: bool | None = None
    """None: it has no end yet, or the store went away."""
    problems: list[str] = field(default_factory=list)
    anchor: Anchor | None = None


@dataclass(slots=True)
class AuditCheck:
    """Begins checks, and knows what the last one has found."""

    log: AuditLog
    environment: Environment
    progress: Progress | None = None
    _task: asyncio.Task[None] | None = None

    def begin(self) -> Progress:
        """A check from now on; the one that is under way where there is one."""
        if self.progress is None or self.progress.ended_at is not None:
            self.progress = Progress(self.environment.now())
            self._task = asyncio.create_task(self._work(self.progress))
        return self.progress

    async def stop(self) -> None:
        """Leave what is under way."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _work(self, progress: Progress) -> None:
        try:
            report = await self._check(progress)
            progress.whole, progress.problems = report.is_whole, report.problems
            progress.anchor = report.last if report.is_whole else None
        except StoreUnavailable as problem:
            progress.problems = [str(problem)]
        finally:
            progress.ended_at = self.environment.now()

    async def _check(self, progress: Progress) -> ChainReport:
        page = await self.log.page(0, PAGE)
        check = ChainCheck(page.chain)
        while page.links:
            await asyncio.to_thread(check.add_page, page.chain, page.links)
            progress.entries, progress.of = check.entries, check.total
            if check.entries == check.total:
                break
            page = await self.log.page(page.links[-1].seq, PAGE)
        return check.end()
