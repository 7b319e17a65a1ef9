"""What `cis read` asks a running CIS over its REST API, and how it shows the answer."""

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlencode

from pydantic import ValidationError
from rich.console import Console

from ami_cis.client import NOT_OK, NOT_REACHED, OK, explained, first_problem, new_message_id, refuse
from ami_cis.reading_tables import as_csv, plot, table
from ami_cis.readings_api import READINGS, KeptReadings, ReadingsOrder, ReadingsOutcome, ReadingValue
from ami_process import rest_client
from ami_process.terminal_text import printable


class Form(StrEnum):
    """How readings are shown."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PLOT = "plot"


def form_of(*, as_csv: bool, as_json: bool, as_plot: bool) -> Form | None:
    """The form that options ask for; None where they ask for several."""
    wanted = [one for one, asked in ((Form.CSV, as_csv), (Form.JSON, as_json), (Form.PLOT, as_plot)) if asked]
    return None if len(wanted) > 1 else (*wanted, Form.TABLE)[0]


def read(url: str, token_file: Path | None, wanted: Mapping[str, object], form: Form) -> int:
    """Have the CIS at `url` ask for readings, wait for the end and show it; the exit code, 0 only for OK.

    `wanted` are the fields of a ReadingsOrder.
    """
    try:
        order = ReadingsOrder.model_validate({**wanted, "message_id": wanted.get("message_id") or new_message_id()})
    except ValidationError as problem:
        return refuse(f"read: {first_problem(problem)}")
    try:
        with Console(stderr=True).status(f"waiting for the end of {order.message_id}"):
            answer = rest_client.post(url, READINGS, order.model_dump_json(by_alias=True), token_file)
        outcome = ReadingsOutcome.model_validate_json(answer)
    except rest_client.NotReached as problem:
        return explained(
            f"{problem}; nothing was sent. `cis serve` is the process, --url says where it is", NOT_REACHED
        )
    except rest_client.ProcessRefused as problem:
        return refuse(f"read: {problem}")
    except (rest_client.AnswerLost, ValidationError) as problem:
        reason = "the answer is not understood" if isinstance(problem, ValidationError) else problem
        again = f"ask again with --message-id {order.message_id}"
        return explained(f"{reason}; what has come is kept all the same: {again}, or look with --kept", NOT_OK)
    if form is Form.JSON:
        sys.stdout.write(outcome.model_dump_json() + "\n")
    else:
        _show(outcome.readings, form, _head(outcome))
    return OK if outcome.result == "OK" else NOT_OK


def look(url: str, token_file: Path | None, query: Sequence[tuple[str, str]], form: Form) -> int:
    """Show the readings that the CIS at `url` keeps; the exit code."""
    try:
        answer = rest_client.ask(url, "GET", f"{READINGS}?{urlencode(query)}", None, token_file)
        kept = KeptReadings.model_validate_json(answer)
    except rest_client.NotReached as problem:
        return explained(f"{problem}. `cis serve` is the process, --url says where it is", NOT_REACHED)
    except rest_client.ProcessRefused as problem:
        return refuse(f"read: {problem}")
    except (rest_client.AnswerLost, ValidationError) as problem:
        return explained(
            "the answer is not understood" if isinstance(problem, ValidationError) else str(problem), NOT_OK
        )
    if form is Form.JSON:
        sys.stdout.write(kept.model_dump_json() + "\n")
    else:
        _show(kept.readings, form, _head_of_kept(kept))
    return OK


def _show(readings: Sequence[ReadingValue], form: Form, head: Sequence[str]) -> None:
    """Of CSV the head goes to standard error: what reads it wants rows alone."""
    lines = "".join(f"{line}\n" for line in head)
    if form is Form.CSV:
        sys.stderr.write(lines)
        sys.stdout.write(as_csv(readings))
    else:
        sys.stdout.write(lines + ("\n" if lines and readings else ""))
        sys.stdout.write(_drawn(readings, form) if readings else "")


def _drawn(readings: Sequence[ReadingValue], form: Form) -> str:
    return plot(readings) if form is Form.PLOT else table(readings)


def _head_of_kept(kept: KeptReadings) -> list[str]:
    if not kept.readings:
        return ["The CIS has no such values. Without --kept the meters are asked."]
    return [] if kept.complete else [f"the first {len(kept.readings):,}; there are more"]


def _head(outcome: ReadingsOutcome) -> list[str]:
    """What was asked, how it ended, and what did not come."""
    result = outcome.result or ("UNKNOWN" if outcome.unknown else "NO REPLY")
    lines = [f"get MeterReadings of {', '.join(outcome.meters[:10])}: {result}, {outcome.ms:.0f} ms"]
    lines.append(f"MessageID {outcome.message_id}")
    if outcome.start is not None:
        until = "now" if outcome.end is None else outcome.end.isoformat()
        lines.append(f"from {outcome.start.isoformat()} to {until}")
    if not outcome.complete:
        lines.append(f"the first {len(outcome.readings):,} values; there are more")
    if outcome.reason is not None:
        lines.append(outcome.reason)
    for error in outcome.errors:
        lines.append(" ".join(filter(None, (error.meter, error.code, error.level, error.reason))))
    return list(map(printable, lines))
