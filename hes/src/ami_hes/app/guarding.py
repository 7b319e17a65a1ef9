"""What is asked before anything is sent to a meter, and what keeps who asked: the guard, its approvals, its stop, the audit log."""

from dataclasses import dataclass
from typing import Self

from ami_hes import configured
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.works import Task
from ami_hes.auditing import Auditor
from ami_hes.guard import Approvals, ControlStop, Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarding:
    """All of it."""

    auditor: Auditor
    guard: Guard
    approvals: Approvals
    stop: ControlStop

    @classmethod
    async def of(cls, setup: Setup, stores: Stores, south: South) -> Self:
        """Whether controls are stopped is known from the beginning on."""
        environment = setup.environment
        stop = ControlStop(stores.guard, environment)
        await stop.look()
        return cls(
            auditor=Auditor(stores.audit, environment),
            guard=Guard(stores.guard, configured.guard(setup.settings), south.registry, environment, stop),
            approvals=Approvals(stores.guard, environment, nameless=configured.nameless(setup.settings)),
            stop=stop,
        )

    @property
    def works(self) -> list[Task]:
        """What goes on."""
        return [self.auditor.work, self.stop.work, self.approvals.work]
