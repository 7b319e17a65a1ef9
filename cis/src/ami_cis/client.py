"""What the sub-commands of `cis` ask a running CIS over its REST API, and how they show the answer."""

import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from pydantic import ValidationError
from rich.console import Console

from ami_cim.codes import reply_codes
from ami_cis.api import CONTROLS, ControlError, ControlOrder, ControlOutcome
from ami_cis.workflows import CONTROL_WORDS
from ami_process import rest_client
from ami_process.terminal_text import printable

OK = 0
NOT_OK = 1
USAGE = 2
NOT_REACHED = 3
_OPTIONS = {
    "meters": "--meter",
    "mrids": "--mrid",
    "usage_points": "--usage-point",
    "reading_types": "--type",
    "from": "--from",
    "to": "--to",
}
"""Fields of an order, as a command line has them."""


def send(url: str, token_file: Path | None, wanted: Mapping[str, object], *, as_json: bool) -> int:
    """Have the CIS at `url` send one control, wait for its end and show it; the exit code, 0 only for OK.

    `wanted` are the fields of a ControlOrder.
    """
    try:
        # with a MessageID of our own the control can be asked for again when its answer is lost
        order = ControlOrder.model_validate({**wanted, "message_id": wanted["message_id"] or new_message_id()})
    except ValidationError as error:
        return refuse(f"send: {first_problem(error)}")
    try:
        with Console(stderr=True).status(f"waiting for the end of {order.message_id}"):
            answer = rest_client.post(url, CONTROLS, order.model_dump_json(), token_file)
        outcome = ControlOutcome.model_validate_json(answer)
    except rest_client.NotReached as problem:
        return explained(
            f"{problem}; nothing was sent. `cis serve` is the process, --url says where it is", NOT_REACHED
        )
    except rest_client.ProcessRefused as problem:
        return refuse(f"send: {problem}")
    except (rest_client.AnswerLost, ValidationError) as problem:
        reason = "the answer is not understood" if isinstance(problem, ValidationError) else problem
        again = f"ask again with --message-id {order.message_id}, which switches nothing twice"
        return explained(f"{reason}; it is not known what became of the control: {again}", NOT_OK)
    sys.stdout.write(outcome.model_dump_json() + "\n" if as_json else _table(outcome))
    return OK if outcome.confirmed else NOT_OK


def new_message_id() -> str:
    """Of a request that is asked for here, so that its answer can be asked for again."""
    return str(uuid4())


def refuse(text: str) -> int:
    """Say why a command is not carried out; the exit code."""
    return explained(text, USAGE)


def explained(text: str, exit_code: int) -> int:
    """Say on standard error what has happened; the exit code."""
    sys.stderr.write(f"cis: {text}\n")
    return exit_code


def _table(outcome: ControlOutcome) -> str:
    """A headline, and a line for every target and for every error that names none of them."""
    control = CONTROL_WORDS.get(outcome.code, "control")
    result = outcome.result or ("UNKNOWN" if outcome.unknown else "NO REPLY")
    head = f"{outcome.verb} EndDeviceControls {outcome.code} ({control}): {result}, {outcome.ms:.0f} ms"
    lines = [head, f"MessageID {outcome.message_id}"]
    if outcome.reason is not None:
        return "\n".join((*lines, printable(outcome.reason), ""))
    rows = [("meter", "result", "code", "reason")]
    for label in outcome.meters:
        about = [error for error in outcome.errors if error.meter == label]
        rows += [_row(error) for error in about] or [(label, _word_without_error(outcome), "", "")]
    rows += [_row(error) for error in outcome.errors if error.meter not in outcome.meters]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip()
        for row in rows
    ]
    return "\n".join((*lines, "", *table, ""))


def _row(error: ControlError) -> tuple[str, str, str, str]:
    meaning = reply_codes().get(error.code)
    reason = error.reason or (meaning.meaning if meaning else "")
    return (printable(error.meter or "-"), "failed" if error.is_failure else "ok", error.code, printable(reason))


def _word_without_error(outcome: ControlOutcome) -> str:
    """A target that no error names: done, unless the whole request failed."""
    return "not done" if outcome.result == "FAILED" else "ok"


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, without the value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = _OPTIONS.get(str(first["loc"][0]), ".".join(map(str, first["loc"]))) if first["loc"] else ""
    return f"{place}{': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"
