"""A request's way through the HES: accept, work every meter, report, answer; nothing is forgotten on the way.

What is accepted is committed before it is reported as accepted. A result is committed before its request is reported, the answer
is committed before it is sent, and it is owed until it was taken. Whatever a dead process left open is put to work again
at the next start and begins with a look at the meter that its mRID names by then; what has passed its deadline fails
honestly. Before a control leaves for its meter the store knows it, so no life says that nothing was sent when it was. The same MessageID again gets the same answer again and causes nothing.
"""

from ami_hes.jobs.answers import Answers, Means
from ami_hes.jobs.intake import Intake, Limits
from ami_hes.jobs.recovery import recover
from ami_hes.jobs.replies import Patience, Replies
from ami_hes.jobs.workshop import Run, Workshop

__all__ = ["Answers", "Intake", "Limits", "Means", "Patience", "Replies", "Run", "Workshop", "recover"]
