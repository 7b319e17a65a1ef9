"""The registry of a process that works what it is sent: a meter is read from the store when a command for it comes, and need not be there before.

So the memory of a worker is bounded, and so is the time of its start, however many meters the system has. What goes again when there are
more than `most` is a meter that no command has needed for longest; never one of which a command is in this process or just comes, nor one that such a meter is behind:
groups and partitions are told by what the registry says of it, at moments at which nothing can be waited for.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator

from ami_cim.identity import mrid_key
from ami_hes.commands import CommandJob
from ami_hes.registry.kept import KeptRegistry

MOST = 20_000
"""Some 50 MB."""


class NeededMeters:
    """Brings them in, and lets them go."""

    def __init__(self, kept: KeptRegistry, most: int = MOST) -> None:
        self._kept = kept
        self._most = most
        self._order: OrderedDict[str, None] = OrderedDict()
        """By when they were needed last."""
        self._being_brought: Counter[str] = Counter()
        """Those that a call waits for: another one must not let them go meanwhile."""

    async def need(self, jobs: Iterable[CommandJob], here: Callable[[], Iterable[CommandJob]]) -> None:
        """The meters of these are in the registry when it returns, if there are any; `here` are all commands of the process. Raises StoreUnavailable."""
        wanted = dict.fromkeys(mrid_key(job.command.meter.mrid) for job in jobs)
        self._being_brought.update(wanted.keys())
        try:
            await self._kept.bring(wanted)
        finally:
            self._being_brought -= Counter(wanted.keys())
        for mrid in self._with_hosts(wanted):
            self._order[mrid] = None
            self._order.move_to_end(mrid)
        if len(self._order) > self._most + self._most // 10:
            self._let_go({*wanted, *self._being_brought, *(mrid_key(job.command.meter.mrid) for job in here())})

    def _let_go(self, mrids: Iterable[str]) -> None:
        """All but these, those first that were needed before all others."""
        kept = set(self._with_hosts(mrids))
        for mrid in [one for one in self._order if one not in kept][: len(self._order) - self._most]:
            del self._order[mrid]
            self._kept.let_go(mrid)

    def _with_hosts(self, mrids: Iterable[str]) -> Iterator[str]:
        for mrid in mrids:
            yield from self._kept.with_host(mrid)
