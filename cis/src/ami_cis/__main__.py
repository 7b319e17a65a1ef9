"""The command line `cis`: `cis serve --config FILE` is the process, with the demo loop; `python -m ami_cis` is the same."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ami_cim.codes import reply_codes
from ami_cis.app import send, serve
from ami_cis.settings import Settings, load
from ami_cis.store import SCHEMA, StoreUnavailable, StoreUnusable
from ami_cis.workflows import CONTROL_WORDS, MeterError, Order, Outcome, Target
from ami_process.commands import exit_code_of, version_option
from ami_process.environment import Environment, clock_of
from ami_process.events import Event, events_on_standard_output
from ami_process.ownership import keep_private
from ami_process.settings import SettingsError
from ami_process.sockets import CannotListen
from ami_process.store.commands import store_commands

NOT_OK = 1
USAGE = 2

app = typer.Typer(name="cis", no_args_is_help=True, add_completion=False, rich_markup_mode=None)
app.add_typer(store_commands(SCHEMA, lambda config: load(config).cis.store), name="store")


class Verb(StrEnum):
    """What `--verb` takes."""

    CREATE = "create"
    CHANGE = "change"
    CANCEL = "cancel"
    CLOSE = "close"
    DELETE = "delete"


Config = Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")]


@app.callback()
def customer_information_system(version: Annotated[bool, version_option("ami-cis")] = False) -> None:
    """The customer information system."""


@app.command("serve")
def serve_until_stopped(
    config: Config,
    no_loop: Annotated[bool, typer.Option("--no-loop", help="Only serve; send nothing unasked.")] = False,
    cycles: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Stop after N disconnect/connect cycles.")
    ] = None,
) -> None:
    """Serve the inbox and run the demo loop, until SIGTERM or SIGINT or the last cycle.

    Exit code 1: a command of the last cycles was not confirmed; 2: the configuration cannot be used; 98: a port is taken.
    """
    with _explaining():
        settings = load(config)
        if not no_loop and not settings.meters:
            raise SettingsError(f"{config}: there are no [[meters]] to control; --no-loop only serves")
        if cycles is not None:
            settings = settings.model_copy(update={"demo": settings.demo.model_copy(update={"cycles": cycles})})
        clock = clock_of(settings.clock)
        with events_on_standard_output(clock.now) as events:
            raise typer.Exit(asyncio.run(_serve(settings, Environment(emit=events).by(clock), loop=not no_loop)))


@app.command("send")
def send_control(
    config: Config,
    code: Annotated[str, typer.Option(help="EndDeviceControlType: 3.31.0.23 disconnects, 3.31.0.18 connects.")],
    meter: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A meter by name; may be repeated.")] = None,
    mrid: Annotated[list[str] | None, typer.Option(help="A meter by mRID; may be repeated.")] = None,
    usage_point: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A usage point; may be repeated.")
    ] = None,
    verb: Verb = Verb.CREATE,
    message_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Instead of a new one, e.g. to send the same request again.")
    ] = None,
    correlation_id: Annotated[str | None, typer.Option(metavar="ID", help="Instead of the MessageID.")] = None,
    asynchronous: Annotated[
        bool, typer.Option("--asynchronous", help="Take an acknowledgement now and the reply later.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Send one control and show the result; exit code 0 only for OK."""
    with _explaining():
        settings = load(config)
        order = Order(
            code=code,
            targets=_targets(settings, meter or [], mrid or [], usage_point or []),
            verb=verb,
            asynchronous=asynchronous,
            message_id=message_id,
            correlation_id=correlation_id,
        )
        if asynchronous and settings.cis.reply_address_at(0) is None:
            raise SettingsError("send: cis.host is no address to reply to; set cis.reply_address")
        raise typer.Exit(asyncio.run(_send(settings, order, as_json=as_json)))


@contextmanager
def _explaining() -> Iterator[None]:
    """What a person has to change ends the command with a sentence and exit code 2."""
    keep_private()
    try:
        yield
    except (SettingsError, StoreUnusable, StoreUnavailable) as error:
        sys.stderr.write(f"cis: {error}\n")
        raise typer.Exit(USAGE) from None


def _targets(
    settings: Settings, names: Sequence[str], mrids: Sequence[str], points: Sequence[str]
) -> tuple[Target, ...]:
    known = {meter.name: meter.mrid for meter in settings.meters}
    targets = (
        *(Target.meter(name, known.get(name)) for name in names),
        *(Target.mrid(mrid) for mrid in mrids),
        *(Target.point(name) for name in points),
    )
    if not targets:
        raise SettingsError("send: name at least one --meter, --mrid or --usage-point")
    return targets


async def _serve(settings: Settings, environment: Environment, *, loop: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await serve(settings, environment, stop, loop=loop)


async def _send(settings: Settings, order: Order, *, as_json: bool) -> int:
    def silent(_: Event) -> None:
        """Of one order the outcome is shown, and not its steps."""

    try:
        outcome = await send(settings, Environment(emit=silent), order)
    except CannotListen as error:
        raise SettingsError(f"cannot listen for the reply at {error.address}: {error.reason}") from error
    sys.stdout.write(_json(order, outcome) if as_json else _table(order, outcome))
    return 0 if outcome.confirmed else NOT_OK


def _json(order: Order, outcome: Outcome) -> str:
    told = {"code": order.code, "verb": order.verb, "meters": [target.label for target in order.targets]}
    return json.dumps(told | asdict(outcome) | {"confirmed": outcome.confirmed}) + "\n"


def _table(order: Order, outcome: Outcome) -> str:
    """A headline, and a line for every target and for every error that names none of them."""
    control = CONTROL_WORDS.get(order.code, "control")
    head = f"{order.verb} EndDeviceControls {order.code} ({control}): {outcome.result or ('UNKNOWN' if outcome.unknown else 'NO REPLY')}, {outcome.ms:.0f} ms"
    lines = [head, f"MessageID {outcome.message_id}"]
    if outcome.reason is not None:
        return "\n".join((*lines, outcome.reason, ""))
    rows = [("meter", "result", "code", "reason")]
    for target in order.targets:
        about = [error for error in outcome.errors if error.meter == target.label]
        rows += [_row(error) for error in about] or [(target.label, _word_without_error(outcome), "", "")]
    labels = {target.label for target in order.targets}
    rows += [_row(error) for error in outcome.errors if error.meter not in labels]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip()
        for row in rows
    ]
    return "\n".join((*lines, "", *table, ""))


def _row(error: MeterError) -> tuple[str, str, str, str]:
    meaning = reply_codes().get(error.code)
    reason = error.reason or (meaning.meaning if meaning else "")
    return (error.meter or "-", "failed" if error.is_failure else "ok", error.code, reason)


def _word_without_error(outcome: Outcome) -> str:
    """A target that no error names: done, unless the whole request failed."""
    return "not done" if outcome.result == "FAILED" else "ok"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    return exit_code_of(app, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
