"""A request's way through the HES: accept, work every meter, report, answer; nothing is forgotten on the way.

What is accepted is committed before it is reported as accepted. A result is committed before its request is reported, the answer
is committed before it is sent, and it is owed until it was taken. A command is done, for the engine that dispatches it, when
all that is behind it; until then it comes again, also after a restart, and begins with a look at the meter that its mRID names
by then; what has passed its deadline fails honestly. Before a control leaves for its meter the store knows it, so no life says
that nothing was sent when it was. The same MessageID again gets the same answer again and causes nothing.
"""

from ami_hes.jobs.acceptance import Acceptance, IntakeLimits
from ami_hes.jobs.answers import AnswerMaker, KeptAnswer, Writing
from ami_hes.jobs.backoff import Backoff
from ami_hes.jobs.context import Context
from ami_hes.jobs.intake import Intake
from ami_hes.jobs.lanes import Group, Groups, LaneLimits, Lanes
from ami_hes.jobs.redelivery import Redelivery
from ami_hes.jobs.reply_sender import ReplySender
from ami_hes.jobs.tally import Tally
from ami_hes.jobs.worker import CommandWorker, Look, Run, WorkerLimits

__all__ = [
    "Acceptance",
    "AnswerMaker",
    "Backoff",
    "CommandWorker",
    "Context",
    "Group",
    "Groups",
    "Intake",
    "IntakeLimits",
    "KeptAnswer",
    "LaneLimits",
    "Lanes",
    "Look",
    "Redelivery",
    "ReplySender",
    "Run",
    "Tally",
    "WorkerLimits",
    "Writing",
]
