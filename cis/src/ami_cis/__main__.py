"""The command line: `python -m ami_cis --config F` runs the inbox and the demo loop, `... send` sends one control and shows the result."""

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from ami_cim.codes import reply_codes
from ami_cis.app import send, serve, surroundings
from ami_cis.settings import Settings, load
from ami_cis.store import StoreUnavailable, StoreUnusable
from ami_cis.workflows import CONTROL_WORDS, MeterError, Order, Outcome, Surroundings, Target
from ami_process.events import events_on_standard_output
from ami_process.ownership import keep_private
from ami_process.settings import SettingsError
from ami_process.sockets import CannotListen

EXIT_NOT_OK = 1
EXIT_USAGE = 2
VERBS = ("create", "change", "cancel", "close", "delete")


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    keep_private()
    try:
        settings = load(options.config)
        if options.command == "send":
            order = _order(options, settings)
            return asyncio.run(_send(settings, order, as_json=options.json))
        if not options.no_loop and not settings.meters:
            raise SettingsError(f"{options.config}: there are no [[meters]] to control; --no-loop only serves")
        if options.cycles is not None:
            settings = settings.model_copy(update={"demo": settings.demo.model_copy(update={"cycles": options.cycles})})
        with events_on_standard_output() as events:
            return asyncio.run(_serve(settings, surroundings(events), loop=not options.no_loop))
    except (SettingsError, StoreUnusable, StoreUnavailable) as error:
        sys.stderr.write(f"cis: {error}\n")
        return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ami_cis", description="The customer information system.")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the TOML file that all processes share"
    )
    parser.add_argument("--no-loop", action="store_true", help="only serve the inbox")
    parser.add_argument("--cycles", type=_count, metavar="N", help="stop after N disconnect/connect cycles")
    commands = parser.add_subparsers(dest="command")
    one = commands.add_parser("send", help="send one control and show the result; exit code 0 only for OK")
    one.add_argument("--code", required=True, help="EndDeviceControlType: 3.31.0.23 disconnects, 3.31.0.18 connects")
    one.add_argument("--meter", action="append", default=[], metavar="NAME", help="a meter by name; may be repeated")
    one.add_argument("--mrid", action="append", default=[], help="a meter by mRID; may be repeated")
    one.add_argument(
        "--usage-point", action="append", default=[], metavar="NAME", help="a usage point; may be repeated"
    )
    one.add_argument("--verb", choices=VERBS, default="create")
    one.add_argument("--message-id", metavar="ID", help="instead of a new one, e.g. to send the same request again")
    one.add_argument("--correlation-id", metavar="ID", help="instead of the MessageID")
    one.add_argument("--asynchronous", action="store_true", help="take an acknowledgement now and the reply later")
    one.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of cycles")
    return int(text)


def _order(options: argparse.Namespace, settings: Settings) -> Order:
    mrids = {meter.name: meter.mrid for meter in settings.meters}
    targets = (
        *(Target.meter(name, mrids.get(name)) for name in options.meter),
        *(Target.mrid(mrid) for mrid in options.mrid),
        *(Target.point(name) for name in options.usage_point),
    )
    if not targets:
        raise SettingsError("send: name at least one --meter, --mrid or --usage-point")
    if options.asynchronous and settings.cis.reply_address_at(0) is None:
        raise SettingsError("send: cis.host is no address to reply to; set cis.reply_address")
    return Order(
        code=options.code,
        targets=targets,
        verb=options.verb,
        asynchronous=options.asynchronous,
        message_id=options.message_id,
        correlation_id=options.correlation_id,
    )


async def _serve(settings: Settings, around: Surroundings, *, loop: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await serve(settings, around, stop, loop=loop)


async def _send(settings: Settings, order: Order, *, as_json: bool) -> int:
    def silent(_: str, /, **__: object) -> None:
        """One order tells its outcome, not its steps."""

    try:
        outcome = await send(settings, surroundings(silent), order)
    except CannotListen as error:
        raise SettingsError(f"cannot listen for the reply at {error.address}: {error.reason}") from error
    sys.stdout.write(_json(order, outcome) if as_json else _table(order, outcome))
    return 0 if outcome.confirmed else EXIT_NOT_OK


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


if __name__ == "__main__":
    raise SystemExit(main())
