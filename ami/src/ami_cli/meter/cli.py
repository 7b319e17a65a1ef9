"""The command line of `ami meter`: options in, one function called, its result written, the exit code.

Every sub-command takes the same options for which meter, how, and as whom; they are declared once and put in front of each
command's own. Exit codes are those of `errors.ExitCode`.
"""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ami_cli.meter import commands, contactor, hints, output, value_arguments
from ami_cli.meter.errors import ExitCode, MeterError, ServiceRefused, words
from ami_cli.meter.options import MeterTarget
from ami_cli.meter.output import Format
from ami_cli.meter.pack_names import PackNames, names_of
from ami_cli.meter.reading import AttributeReading
from ami_cli.meter.session import Session, SessionEnvironment, connected
from ami_cli.meter.target import target_of
from ami_cli.meter.target_commands import command_of
from ami_cli.meter.target_options import TargetOptions
from ami_dlms.cosem.classes import method_name

EPILOG = (
    "Exit codes: 0 done; 1 the meter says no, or does not show what was asked for; 2 wrong options; 3 not reached; "
    "4 no answer; 5 association refused; 6 not trusted (keys, counters, another meter); 7 not understood; "
    "8 the second opinion differs; 130 interrupted."
)
app = typer.Typer(
    name="meter",
    help="Talk to one meter, real or simulated: read, write, invoke, profile, scan, clock, disconnect, connect.",
    no_args_is_help=True,
    epilog=EPILOG,
)

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Csv = Annotated[bool, typer.Option("--csv", help="CSV on standard output.")]
ObisArgument = Annotated[str, typer.Argument(metavar="OBIS", help="As in 1-0:1.8.0 or 1-0:1.8.0*255.")]
ClassOption = Annotated[
    int | None, typer.Option("--class", help="Class of the object; without it the object list is asked.")
]

PackOption = Annotated[
    str, typer.Option("--pack", metavar="NAME", help="Name objects and events as this pack does (`ami pack list`).")
]
PacksOption = Annotated[
    Path | None, typer.Option("--packs", metavar="DIR", help="A folder with packs over those of the project.")
]
Unconfirmed = Annotated[
    bool, typer.Option("--unconfirmed", help="Send it as a request that the meter does not answer.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Switch the supply without asking.")]
ObisOption = Annotated[str, typer.Option("--obis", help="The disconnect control, if it is not 0-0:96.3.10.")]


def command(name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a sub-command: its parameter `options` becomes the common options of every sub-command."""
    return command_of(app, EPILOG, name)


def environment() -> SessionEnvironment:
    """Of a real run."""
    return SessionEnvironment(random_bytes=secrets.token_bytes, report=output.report)


def as_format(json: bool, csv: bool) -> Format:
    """Which of the three."""
    if json and csv:
        raise MeterError(ExitCode.USAGE, "choose one of them", where="--json, --csv")
    return Format.JSON if json else Format.CSV if csv else Format.TABLE


@contextmanager
def session_with(options: TargetOptions) -> Iterator[Session]:
    """The association that the options describe."""
    with connected(target_of(options, os.environ), environment()) as session:
        yield session


def confirm(what: str, target: MeterTarget) -> None:
    """Ask on the terminal before the supply is switched; MeterError without one, and for any answer but yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        hint = "give --yes to switch without being asked; nothing was sent to the contactor"
        raise MeterError(ExitCode.USAGE, "wants to be confirmed, and there is no terminal", where=what, hint=hint)
    try:
        agreed = typer.confirm(f"{what.capitalize()} of {target}, for real?", err=True)
    except typer.Abort:  # Ctrl-C, or the terminal is gone
        agreed = False
    if not agreed:
        raise MeterError(ExitCode.INTERRUPTED, "not confirmed; nothing was sent to the contactor", where=str(target))


def exit_with(code: ExitCode) -> None:
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


AttributeArgument = Annotated[
    str | None, typer.Argument(metavar="[ATTRIBUTE]", help="Number or name; without it all that may be read.")
]
SecondOpinion = Annotated[
    bool,
    typer.Option(
        "--second-opinion",
        help="Read the attribute once more with dlms-cosem, an independent client under the Business Source "
        "License 1.1 (not free software), in a process and virtual environment of its own; see --peer-python.",
    ),
]
PeerPython = Annotated[
    Path | None, typer.Option(help="The interpreter that can import dlms_cosem.", envvar="AMI_PEER_PYTHON")
]


@command()
def read(
    options: TargetOptions,
    obis: ObisArgument,
    attribute: AttributeArgument = None,
    class_id: ClassOption = None,
    json: Json = False,
    csv: Csv = False,
    second_opinion: SecondOpinion = False,
    peer_python: PeerPython = None,
    pack: PackOption = "",
    packs: PacksOption = None,
) -> None:
    """Read an attribute, or all attributes of an object, with names, units and access rights."""
    wanted, names = as_format(json, csv), names_of(pack, packs)
    name = commands.obis_of(obis)
    if second_opinion and attribute is None:
        raise MeterError(ExitCode.USAGE, "wants one attribute", where="--second-opinion", hint="give its number")
    with session_with(options) as session:
        readings = commands.read(session, name, attribute, class_id)
    _show_readings(readings, wanted, names)
    if second_opinion:
        from ami_cli.meter import second_opinion as second

        write = output.write if wanted is Format.TABLE else output.report  # what programs read stays whole
        exit_with(second.compare(target_of(options, os.environ), environment(), readings[0], peer_python, write))
    if attribute is not None and readings[0].error:
        error, client = readings[0].error, target_of(options, os.environ).identity.client
        hint = hints.of_refusal(error, hints.Doing.READING, client)
        raise ServiceRefused(error, f"reading {readings[0].descriptor}", hint)


def _show_readings(readings: Sequence[AttributeReading], wanted: Format, names: PackNames) -> None:
    if wanted is Format.TABLE:
        output.show(output.readings_table(readings, names=names))
    elif wanted is Format.CSV:
        output.write(output.as_csv(commands.documents(readings), output.CSV_COLUMNS[1:]).rstrip("\n"))
    else:
        output.write(output.as_json(commands.documents(readings)))


@command()
def write(
    options: TargetOptions,
    obis: ObisArgument,
    attribute: Annotated[str, typer.Argument(help="Number or name.")],
    value: Annotated[
        str,
        typer.Argument(
            help="A number, true, hex digits, text:ABC, time:2026-01-31T12:00:00+01:00, or env:NAME, file:PATH of one."
        ),
    ],
    type_name: Annotated[
        str | None,
        typer.Option("--type", help=f"Without it: as the present value. {', '.join(value_arguments.TYPES)}."),
    ] = None,
    class_id: ClassOption = None,
    unconfirmed: Unconfirmed = False,
    json: Json = False,
) -> None:
    """Write an attribute, and show what it holds before and after."""
    name = commands.obis_of(obis)
    with session_with(options) as session:
        written = commands.locate_attribute(session.association, name, attribute, class_id)
        done = commands.write(session.association, written, value, type_name, confirmed=not unconfirmed)
    if json:
        output.write(output.as_json(done.document()))
        return
    for line in done.lines():
        output.write(line)


@command()
def invoke(
    options: TargetOptions,
    obis: ObisArgument,
    method: Annotated[str, typer.Argument(help="Number or name.")],
    parameter: Annotated[str, typer.Argument(help="The parameter; most methods want the integer 0.")] = "0",
    type_name: Annotated[
        str, typer.Option("--type", help="Type of the parameter; null-data for none, a-xdr for structures.")
    ] = "integer",
    class_id: ClassOption = None,
    unconfirmed: Unconfirmed = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Call a method, and show what the meter answers and returns."""
    name = commands.obis_of(obis)
    value_arguments.parse(parameter, type_name)
    with session_with(options) as session:
        called = commands.locate_method(session.association, name, method, class_id)
        if contactor.switches(called) and not yes:
            confirm(f"call {method_name(called)} of {name}", session.target)
        if unconfirmed:
            commands.invoke_unconfirmed(session.association, called, parameter, type_name)
            output.report(f"{called} was sent; an unconfirmed request has no answer")
            return
        descriptor, outcome = commands.invoke(session.association, called, parameter, type_name)
    if json:
        output.write(output.as_json(commands.outcome_document(descriptor, outcome)))
    else:
        output.write(commands.outcome_text(descriptor, outcome))
    if not commands.succeeded(outcome):
        client = session.target.identity.client
        if hint := hints.of_refusal(words(outcome.result.name), hints.Doing.CALLING, client, type_name):
            output.report(f"  what to do: {hint}")
        raise typer.Exit(ExitCode.REFUSED)


@command()
def profile(
    options: TargetOptions,
    obis: ObisArgument,
    since: Annotated[
        str, typer.Option("--from", help="2026-01-31T00:00:00+01:00; no offset: meter's local time.")
    ] = "",
    until: Annotated[str, typer.Option("--to", help="The same; both ends are included.")] = "",
    last: Annotated[int | None, typer.Option(min=1, help="Only the last N rows.")] = None,
    columns: Annotated[str, typer.Option(help="Numbers from 1, or OBIS codes, with commas.")] = "",
    json: Json = False,
    csv: Csv = False,
    pack: PackOption = "",
    packs: PacksOption = None,
) -> None:
    """Read rows of a profile (class 7): load profiles, event logs."""
    from ami_cli.meter import profiles

    wanted, name, names = as_format(json, csv), commands.obis_of(obis), names_of(pack, packs)
    part = profiles.WantedRows(
        since=since, until=until, last=last, columns=tuple(word.strip() for word in columns.split(",") if word.strip())
    )
    with session_with(options) as session:
        one = commands.locate(session.association, name, profiles.PROFILE_GENERIC, rights=False)
        found = profiles.read_profile(session, one, part)
    if wanted is Format.JSON:
        output.write(output.as_json(found.document()))
    elif wanted is Format.CSV:
        headings, rows = found.csv_rows()
        output.write(output.csv_of([headings, *rows]).rstrip("\n"))
    else:
        output.show(output.rows_table(found.headings, found.texts(names=names)))
        if not found.rows:
            output.write("no rows" + (" in this time" if since or until else ""))
    for note in found.notes:
        output.report(note)


AllDevices = Annotated[
    bool, typer.Option("--all-devices", help="Also the other logical devices, with the same client and keys.")
]
SkipBuffers = Annotated[bool, typer.Option("--skip-buffers", help="Leave the buffers of profiles out.")]
OneByOne = Annotated[
    bool, typer.Option("--one-by-one", help="A request for each attribute, for meters that fail at lists.")
]
Excepted = Annotated[
    list[str] | None,
    typer.Option("--except", help="Leave an object or one attribute out, as often as wanted.", metavar="OBIS[/N]"),
]
SaveModel = Annotated[
    Path | None, typer.Option(help="Save a model of the meter that meter-sim can serve.", metavar="FILE.toml")
]


@command()
def scan(
    options: TargetOptions,
    all_devices: AllDevices = False,
    skip_buffers: SkipBuffers = False,
    one_by_one: OneByOne = False,
    excepted: Excepted = None,
    save_model: SaveModel = None,
    json: Json = False,
    csv: Csv = False,
    pack: PackOption = "",
    packs: PacksOption = None,
) -> None:
    """Read everything: logical devices, then every object with every readable attribute, rights and units."""
    from ami_cli.meter import saved_model, scan_view
    from ami_cli.meter import scan as scanning

    wanted, target, names = as_format(json, csv), target_of(options, os.environ), names_of(pack, packs)
    if save_model is not None and target.identity.short_names:
        raise MeterError(ExitCode.USAGE, "the simulator serves no short names", where="--save-model, --short-names")
    with scan_view.progress() as tell_progress:
        found = scanning.scan(
            target,
            environment(),
            all_devices=all_devices,
            skip_buffers=skip_buffers,
            singly=one_by_one,
            excepted=frozenset(map(commands.place_of, excepted or ())),
            with_public=save_model is not None,
            progress=tell_progress,
        )
    scan_view.show(found, wanted, names)
    if found.ended is not None:
        raise found.ended
    if save_model is not None:
        output.save(save_model, saved_model.model_text(found.devices[0], target))


@command()
def clock(
    options: TargetOptions,
    new_time: Annotated[
        str, typer.Option("--set", help="now, or 2026-01-31T12:00:00+01:00; no offset: the meter's local time.")
    ] = "",
    json: Json = False,
) -> None:
    """Show the meter's clock and how far it is off; with --set, set it and look again."""
    with session_with(options) as session:
        if not new_time:
            seen = commands.read_clock(session)
            output.write(output.as_json(seen.document()) if json else seen.describe())
            return
        before, after, shows = commands.set_clock(session, new_time)
    if json:
        output.write(output.as_json({"done": shows, "before": before.document(), "after": after.document()}))
    else:
        output.write(f"before  {before.describe()}\nafter   {after.describe()}")
        output.write("done" if shows else "NOT DONE: the clock does not show what was written")
    exit_with(ExitCode.DONE if shows else ExitCode.REFUSED)


@command()
def disconnect(options: TargetOptions, obis: ObisOption = "", yes: Yes = False, json: Json = False) -> None:
    """Disconnect the supply, for real: ask, read, act, read back. Exit code 0 only if the meter shows it disconnected."""
    _switch(options, contactor.DISCONNECT, obis, yes, json)


@command()
def connect(options: TargetOptions, obis: ObisOption = "", yes: Yes = False, json: Json = False) -> None:
    """Connect the supply, or make it ready: ask, read, act, read back. Exit code 0 only if the meter shows it."""
    _switch(options, contactor.CONNECT, obis, yes, json)


def _switch(options: TargetOptions, code: str, obis: str, yes: bool, json: bool) -> None:
    name = commands.obis_of(obis) if obis else None
    target = target_of(options, os.environ)
    if not yes:
        confirm("disconnect the supply" if code == contactor.DISCONNECT else "connect the supply", target)
    found = contactor.switch(target, environment(), code, name)
    if json:
        output.write(output.as_json(found.document()))
    else:
        for line in found.lines():
            output.write(line)
    exit_with(ExitCode.DONE if found.done else ExitCode.REFUSED)
