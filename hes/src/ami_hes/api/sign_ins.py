"""Who signs in at the console, and who tried to, as events and as entries of the audit log."""

from dataclasses import dataclass

from ami_console import Happened, SignedIn, SignedOut, SignInRefused
from ami_hes.askers import asker_of_api
from ami_hes.audit import AuditEntry, What
from ami_hes.auditing import Auditor
from ami_process.events import Event
from ami_process.principals import Principal

_WHAT: dict[type[Event], What] = {
    SignedIn: What.SIGNED_IN,
    SignedOut: What.SIGNED_OUT,
    SignInRefused: What.SIGN_IN_REFUSED,
}


@dataclass(frozen=True, slots=True)
class SignIns:
    """Writes them down."""

    auditor: Auditor

    async def told(self, happened: Happened, principal: Principal | None) -> None:
        """One more; a refused one is bounded as all refused attempts are."""
        self.auditor.environment.emit(happened)
        asker = asker_of_api(principal)
        entry = AuditEntry(
            what=_WHAT[type(happened)],
            at=self.auditor.environment.now(),
            principal=asker.name,
            by=asker.by,
            asked=f"console, from {happened.address}",
            reason=happened.reason if isinstance(happened, SignInRefused) else "",
        )
        if principal is None:
            self.auditor.refused(entry)
        else:
            await self.auditor.write(entry)
