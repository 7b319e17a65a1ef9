"""A request's way through the HES: accept, work every meter, report, answer; nothing is forgotten on the way.

What is accepted is committed before anybody is told so. A result is committed before its request is reported, the answer
is committed before it is sent, and it is owed until it was taken. Whatever a dead process left open is put to work again
at the next start, marked as attempted, so that the recipe looks before it acts; what has passed its deadline by then fails
honestly. The same MessageID again gets the same answer again and causes nothing.
"""

from hes.jobs.answers import Answers, Means
from hes.jobs.intake import Intake, Limits
from hes.jobs.recovery import recover
from hes.jobs.replies import Replies
from hes.jobs.workshop import Run, Workshop

__all__ = ["Answers", "Intake", "Limits", "Means", "Replies", "Run", "Workshop", "recover"]
