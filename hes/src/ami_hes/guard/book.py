"""What a request has to pass before it is kept: the limits of its principal, its groups and all, protected meters, and the stop of all controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import NamedTuple

from ami_hes.audit import MetersOf
from ami_hes.commands import Command, MeterId
from ami_hes.enums import ApprovalOf, ApprovalState, Guarded
from ami_hes.guard.limits import HOUR, Limit, Scope, by_kind, listed, protected_among, uses_of
from ami_hes.guard.stop import ControlStop
from ami_hes.meters.registry import Registry
from ami_hes.served import OPERATIONS
from ami_hes.store import Gate, GuardStore, LimitReached, Stop, StoredApproval, Use
from ami_process.environment import Environment


class ApprovalNeeded(Exception):
    """A second person has to agree first; the text says why, and nothing was kept."""


class NotWhatWasApproved(Exception):
    """It was approved for other meters than it would be done to now; the text says so, and nothing was kept."""


@dataclass(frozen=True, slots=True)
class GuardRules:
    """As the settings have them."""

    limits: Mapping[Guarded, Limit] = field(default_factory=lambda: {kind: Limit() for kind in Guarded})
    protected: tuple[tuple[str, str], ...] = ()
    """Tags and values of meters that need approval always."""
    approval_within: timedelta = timedelta(hours=24)
    """How long a request waits for it."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would become of commands now: nothing is counted for it."""

    uses: tuple[tuple[Use, int], ...]
    """Each with what was used of the limit in the last hour."""
    protected: tuple[str, ...]
    stop: Stop | None

    @property
    def beyond(self) -> tuple[tuple[Use, int], ...]:
        """The limits that would be passed."""
        return tuple((use, used) for use, used in self.uses if used + use.meters > use.limit)


class Used(NamedTuple):
    """Meters of a kind in the last hour in a scope; `limit` None: there is none any more."""

    guarded: str
    scope: str
    meters: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Guard:
    """Looks at commands before they are kept."""

    store: GuardStore
    rules: GuardRules
    registry: Registry
    environment: Environment
    stop: ControlStop

    def gate(self, commands: Sequence[Command], principal: str, approval: StoredApproval | None = None) -> Gate | None:
        """What the store has to check and count when it keeps these; None for what changes no meter.

        Raises ApprovalNeeded for protected meters. `approval`: that somebody has given; it holds for its meters alone, NotWhatWasApproved says so.
        """
        if not any(_acts(one) for one in commands):
            return None
        since, kinds = self.environment.now() - HOUR, by_kind(commands)
        if approval is not None and kinds:
            self._check_approval(commands, approval)
            return Gate(since=since, approved_by=approval.decided_by or "")
        meters = [meter for theirs in kinds.values() for meter in theirs]
        if protected := protected_among(meters, self.rules.protected, self.registry):
            raise ApprovalNeeded(f"{listed(protected)}: protected, so a second person has to approve it")
        uses = [self._uses(kind, theirs, principal) for kind, theirs in kinds.items()]
        return Gate(uses=tuple(chain.from_iterable(uses)), since=since)

    async def look(self, kind: Guarded, meters: Sequence[MeterId], principal: str) -> Outlook:
        """What would become of so many meters of a kind. Raises StoreUnavailable."""
        used = await self.store.used(self.environment.now() - HOUR)
        protected = protected_among(meters, self.rules.protected, self.registry)
        uses = self._uses(kind, meters, principal)
        return Outlook(
            uses=tuple((use, used.get((use.guarded, use.scope), 0)) for use in uses),
            protected=protected,
            stop=await self.stop.look(),
        )

    async def uses(self) -> list[Used]:
        """What was used in the last hour by each that has used anything, the most first, and its limit now. Raises StoreUnavailable."""
        used = await self.store.used(self.environment.now() - HOUR)
        found = sorted(used.items(), key=lambda one: (-one[1], one[0]))
        limits = {kind.value: limit for kind, limit in self.rules.limits.items()}
        return [
            Used(guarded, scope, meters, Scope.limit(scope, limits.get(guarded, Limit())))
            for (guarded, scope), meters in found
        ]

    def _uses(self, kind: Guarded, meters: Sequence[MeterId], principal: str) -> tuple[Use, ...]:
        return uses_of(kind, meters, principal, self.rules.limits[kind], self.registry)

    def check_ahead(self, commands: Sequence[Command], principal: str) -> None:
        """Of what is for later, and counted when it begins: raises ApprovalNeeded for what is beyond a limit by itself."""
        gate = self.gate(commands, principal)
        for use in gate.uses if gate is not None else ():
            if use.meters > use.limit:
                raise ApprovalNeeded(format_limit(LimitReached(use, 0)))

    def wanted(
        self, request_id: str, kind: ApprovalOf, commands: Sequence[Command], principal: str, summary: str, why: str
    ) -> StoredApproval:
        """The approval that these commands wait for."""
        now = self.environment.now()
        meters = _approved(commands)
        if meters is None:
            raise ValueError("nothing that has a limit waits for an approval")
        return StoredApproval(
            request_id=request_id,
            kind=kind,
            guarded=" ".join(by_kind(commands)),
            principal=principal,
            summary=summary,
            meters=meters,
            why=why,
            asked_at=now,
            expires_at=now + self.rules.approval_within * self.environment.rate,
        )

    def _check_approval(self, commands: Sequence[Command], approval: StoredApproval) -> None:
        """Raises NotWhatWasApproved where these are not the meters that somebody has looked at."""
        meters = _approved(commands)
        same = meters is not None and meters.digest == approval.meters.digest
        if approval.state is not ApprovalState.APPROVED or not same or approval.guarded != " ".join(by_kind(commands)):
            raise NotWhatWasApproved("the meters that it is for are no longer those that were approved")


def format_limit(beyond: LimitReached) -> str:
    """Which limit, how much of it is used, and how much would be."""
    use = beyond.use
    words = Guarded(use.guarded).words
    return (
        f"{use.meters:,} {words} beside {beyond.used:,} in the last hour would be more than the {use.limit:,} "
        f"{Scope.words(use.scope)}"
    )


def _approved(commands: Sequence[Command]) -> MetersOf | None:
    """The meters that somebody looks at: those at which something has a limit, so that none is connected in place of another that is disconnected.

    Where a request does several kinds of it, each mRID stands in the digest behind its kind.
    """
    kinds = by_kind(commands)
    prefixes = {kind: f"{kind} " if len(kinds) > 1 else "" for kind in kinds}
    return MetersOf.of((one.name, f"{prefixes[kind]}{one.mrid}") for kind, meters in kinds.items() for one in meters)


def _acts(command: Command) -> bool:
    operation = OPERATIONS.get(command.operation)
    return operation is None or operation.acts
