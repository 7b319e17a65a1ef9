"""How commands are carried out at meters and answered, in whatever role: the worker of the lanes, and what makes the answers that are complete with its results."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ami_hes import configured
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.jobs import AnswerMaker, CommandWorker, Context, Look, Run, WorkerLimits, Writing
from ami_hes.store import SqlTraces
from ami_hes.traces import TraceKeeper


@asynccontextmanager
async def answering(setup: Setup, context: Context) -> AsyncIterator[AnswerMaker]:
    """What makes answers; large ones in a process of its own, as long as this is entered."""
    async with Writing.opened(setup.settings.hes.max_answer_octets) as writing:
        yield AnswerMaker(context, writing)


def trace_keeper(setup: Setup, stores: Stores) -> TraceKeeper:
    """What keeps the traces of this process; its work has to go on."""
    limits = configured.traces(setup.settings)
    return TraceKeeper(SqlTraces(stores.database), setup.environment, limits, setup.telemetry)


def command_worker(
    setup: Setup,
    south: South,
    context: Context,
    answers: AnswerMaker,
    run: Run,
    *,
    check: Callable[[], None],
    told: Callable[[], None],
    traces: TraceKeeper,
    look: Look | None = None,
) -> CommandWorker:
    """What works the lanes that the settings have; the arguments are those of CommandWorker."""
    lanes, groups = configured.lanes(setup.settings), configured.groups(setup.settings, south.registry)
    limits = WorkerLimits(lanes, groups)
    return CommandWorker(
        context,
        answers,
        south.registry,
        run,
        limits,
        check=check,
        told=told,
        look=look,
        presence=south.meters,
        traces=traces,
    )
