"""What a former life of the process left open, put to work again."""

import structlog

from ami_hes.jobs.answers import Answers, Means
from ami_hes.store import Job, Lane, StoredCommand, StoredRequest

log = structlog.get_logger()


async def recover(means: Means, answers: Answers) -> None:
    """To be done before any request is taken."""
    by_request: dict[str, list[StoredCommand]] = {}
    for command in await means.results.open_commands():
        by_request.setdefault(command.request_id, []).append(command)
    unanswered = await means.results.unanswered()
    owed = await means.results.owed()
    if unanswered or owed:
        commands = sum(map(len, by_request.values()))
        log.info("recovered", requests=len(unanswered), commands=commands, replies=len(owed))
    if given_up := await means.deliveries.dead_letters():
        log.warning("dead_letters", replies=given_up)
    for request in unanswered:  # oldest first, so that a meter gets its commands in order
        answers.expect(request.request_id)
        left = by_request.get(request.request_id, [])
        await means.jobs.put([_job(one, request) for one in left])
    for completed in await means.results.completed([request.request_id for request in unanswered]):
        await answers.finish(completed)  # it died between the last result and the answer
    await means.jobs.put([means.reply_job(request) for request in owed])


def _job(command: StoredCommand, request: StoredRequest) -> Job:
    return Job(
        Lane.CONTROLS,
        command.request_id,
        command.meter_name,
        command.control_code,
        request.deadline_at,
        mrid=command.mrid,
        recovered=True,
        attempted=command.attempted,
    )
