"""How requests come in: what each has to pass before it is kept, and what carries out those for the head-end itself."""

from collections.abc import Callable

from ami_hes import configured, served
from ami_hes.app.delivering import Delivering
from ami_hes.app.guarding import Guarding
from ami_hes.app.publishing import Publishing
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.jobs import Acceptance, AnswerMaker, Context, Intake, IntakeLimits
from ami_hes.jobs.timed_requests import Cancel
from ami_hes.nouns import Ask
from ami_hes.store import SqlUsagePoints
from ami_hes.traces import TraceKeeper


def intake(
    setup: Setup,
    stores: Stores,
    south: South,
    context: Context,
    answers: AnswerMaker,
    traces: TraceKeeper,
    guarding: Guarding,
    delivery: Delivering,
    told: Publishing,
    cancel: Cancel,
    waits: Callable[[], None],
) -> Intake:
    """What takes requests; `cancel` ends the commands of a request that are not begun, `waits` is called when a message waits for who is in charge."""
    acceptance = Acceptance(
        context,
        south.registry,
        delivery.hosts,
        IntakeLimits(configured.lanes(setup.settings), setup.settings.hes.max_meters_per_request),
        guarding.guard,
        guarding.auditor,
        setup.partners.partners,
        traces,
    )
    parts = _parts(setup, stores, south, told)
    return Intake(context, answers, acceptance, parts, guarding.approvals, cancel=cancel, waits=waits)


def _parts(setup: Setup, stores: Stores, south: South, told: Publishing) -> Callable[[Ask], served.Parts]:
    return lambda ask: served.Parts(
        schedules=told.book,
        kept=south.kept,
        usage_points=SqlUsagePoints(stores.database),
        change=told.change,
        results=stores.results,
        open_commands=stores.history.open_commands_of,
        protected=configured.guard(setup.settings).protected,
        device_events=south.taker.store,
        time_zone=setup.settings.hes.time_zone,
        ask=ask,
    )
