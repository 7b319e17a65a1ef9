"""`cis send`: a control for some meters, sent by a running CIS, and what came of it."""

import shutil
import sys
from enum import StrEnum
from typing import Annotated

import typer

from ami_cim.codes import reply_codes
from ami_cim.control_names import name_of
from ami_cis.api_values.controls import CONTROLS, ControlError, ControlOrder, ControlOutcome
from ami_cis.client import (
    DEFAULT_URL,
    Asynchronous,
    MessageId,
    Meters,
    Mrids,
    TokenFile,
    Url,
    UsagePoints,
    order_of,
    outcome_of,
)
from ami_cis.outcome_words import how_it_ended
from ami_process.asking import NOT_OK, OK, RunningProcess
from ami_process.commands import AsJson
from ami_process.terminal_tables import Rows
from ami_process.terminal_text import printable

WIDE = 200
"""Columns of a table that goes to no terminal."""

send = typer.Typer(add_completion=False, rich_markup_mode=None)


class VerbOption(StrEnum):
    """What `--verb` takes."""

    CREATE = "create"
    CHANGE = "change"
    CANCEL = "cancel"
    CLOSE = "close"
    DELETE = "delete"


@send.command("send")
def send_control(
    code: Annotated[
        str, typer.Option(metavar="TYPE", help="EndDeviceControlType: 3.31.0.23 disconnects, 3.31.0.18 connects.")
    ],
    meter: Meters = None,
    mrid: Mrids = None,
    usage_point: UsagePoints = None,
    verb: VerbOption = VerbOption.CREATE,
    message_id: MessageId = None,
    correlation_id: Annotated[str | None, typer.Option(metavar="ID", help="Instead of the MessageID.")] = None,
    asynchronous: Asynchronous = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Have the running CIS send one control by its EndDeviceControlType, with any verb, and show the result.

    Exit code 0: OK. 1: anything else. 2: refused as it was asked. 3: the CIS cannot be reached, so nothing was sent.
    """
    cis = RunningProcess("cis", url, token_file, "send")
    if not (meter or mrid or usage_point):
        raise cis.refused("name at least one --meter, --mrid or --usage-point")
    wanted = {
        "code": code,
        "meters": meter or [],
        "mrids": mrid or [],
        "usage_points": usage_point or [],
        "verb": verb,
        "asynchronous": asynchronous,
        "message_id": message_id,
        "correlation_id": correlation_id,
    }
    order = order_of(cis, ControlOrder, wanted)
    again = f"ask again with --message-id {order.message_id}, which switches nothing twice"
    unknown = f"it is not known what became of the control: {again}"
    outcome = outcome_of(cis, CONTROLS, order, ControlOutcome, if_lost=unknown)
    sys.stdout.write(outcome.model_dump_json() + "\n" if as_json else format_outcome(outcome))
    raise typer.Exit(OK if outcome.confirmed else NOT_OK)


def format_outcome(outcome: ControlOutcome) -> str:
    """A headline, and a line for every target and for every error that names none of them."""
    control = name_of(outcome.code) or "control"
    result = how_it_ended(outcome.result, unknown=outcome.unknown, not_sent=outcome.not_sent)
    result = "ACCEPTED for later" if outcome.accepted else result
    head = f"{outcome.verb} EndDeviceControls {outcome.code} ({control}): {result}, {outcome.ms:.0f} ms"
    lines = [head, f"MessageID {outcome.message_id}"]
    if outcome.accepted:
        back = f"cis control --cancel {outcome.message_id}   takes it back; --change ID has another one take its place"
        return "\n".join((*lines, back, ""))
    if outcome.reason is not None:
        return "\n".join((*lines, printable(outcome.reason), ""))
    drawn = Rows("meter", "result", "code", "reason")
    rows: list[tuple[str, str, str, str]] = []
    for label in outcome.meters:
        about = [error for error in outcome.errors if error.meter == label]
        rows += [_row(error) for error in about] or [(label, _word_without_error(outcome), "", "")]
    rows += [_row(error) for error in outcome.errors if error.meter not in outcome.meters]
    for row in rows:
        drawn.add_row(*row)
    return "\n".join((*lines, "", *drawn.lines(shutil.get_terminal_size((WIDE, 0)).columns), ""))


def _row(error: ControlError) -> tuple[str, str, str, str]:
    meaning = reply_codes().get(error.code)
    reason = error.reason or (meaning.meaning if meaning else "")
    return (printable(error.meter or "-"), "failed" if error.is_failure else "ok", error.code, printable(reason))


def _word_without_error(outcome: ControlOutcome) -> str:
    """A target that no error names: done, unless the whole request failed."""
    return "not done" if outcome.result == "FAILED" else "ok"
