"""The end of a command as others read it: the event `meter_done`, and what a meter showed and said in words of JSON."""

import structlog

from ami_dlms.enums import ActionResult
from ami_hes.operations.commands import Command, Outcome
from ami_mapping.controls import Control, DisconnectState

log = structlog.get_logger()


def log_done(command: Command, control: Control | None, outcome: Outcome) -> None:
    """One event per command, whatever ended it; `control` is None for a code that is no control."""
    log.info(
        "meter_done",
        message_id=command.request_id,
        meter=command.meter_name,
        code=command.control_code,
        control=None if control is None else control.name,
        class_id=None if control is None else control.class_id,
        obis=None if control is None else str(control.obis),
        method=None if control is None else control.method,
        **format_seen(outcome),
        ok=outcome.ok,
        reply_code=outcome.reply_code,
        reason=outcome.reason,
        ms=outcome.took_ms,
    )


def format_seen(outcome: Outcome) -> dict[str, object]:
    """What the meter showed before and after, and what it said to the ACTION."""
    return {
        "before": format_state(outcome.before),
        "after": format_state(outcome.after),
        "action_result": format_result(outcome.action_result),
    }


def format_state(state: DisconnectState | None) -> dict[str, bool | int] | None:
    """The three attributes of the disconnect control."""
    if state is None:
        return None
    return {
        "output_state": state.output_state,
        "control_state": state.control_state,
        "control_mode": state.control_mode,
    }


def format_result(result: ActionResult | None) -> str | None:
    """The standard's name, with hyphens."""
    return None if result is None else result.name.lower().replace("_", "-")
