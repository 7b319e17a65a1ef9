"""The command line `cis`: `cis serve --config FILE` is the process, with the demo loop; `python -m ami_cis` is the same."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ami_process.loading import loading

with loading():
    from ami_cis.app import serve
    from ami_cis.settings import Settings
    from ami_cis.shipments import read_shipments
    from ami_cis.store import SCHEMA, StoreUnavailable, StoreUnusable
    from ami_process.commands import exit_code_of, explaining, serve_until_stopped, version_option
    from ami_process.environment import Environment, clock_of
    from ami_process.events import events_on_standard_output
    from ami_process.settings import SettingsError
    from ami_process.store.commands import store_commands
    from ami_process.store.places import Place, place_of

app = typer.Typer(name="cis", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def _store_in(config: Path) -> Place:
    cis = Settings.load(config).cis
    return place_of(cis.store, cis.store_password, "cis.store")


app.add_typer(store_commands(SCHEMA, _store_in), name="store")


class VerbOption(StrEnum):
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
def serve_cis(
    config: Config,
    no_loop: Annotated[bool, typer.Option("--no-loop", help="Only serve; send nothing unasked.")] = False,
    cycles: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Stop after N disconnect/connect cycles.")
    ] = None,
) -> None:
    """Serve the inbox and run the demo loop, until SIGTERM or SIGINT or the last cycle.

    Exit code 1: a command of the last cycles was not confirmed; 2: the configuration cannot be used; 98: a port is taken.
    """
    with explaining("cis", SettingsError, StoreUnusable, StoreUnavailable):
        settings = Settings.load(config)
        settings = settings.with_meters(read_shipments(settings.cis.shipments))
        if not no_loop and not settings.meters:
            raise SettingsError(
                f"{config}: there are no [[meters]] and no cis.shipments to control; --no-loop only serves"
            )
        if cycles is not None:
            settings = settings.model_copy(update={"demo": settings.demo.model_copy(update={"cycles": cycles})})
        clock = clock_of(settings.clock)
        with events_on_standard_output(clock.now) as events:
            environment = Environment(emit=events).by(clock)
            raise typer.Exit(serve_until_stopped(lambda stop: serve(settings, environment, stop, loop=not no_loop)))


@app.command("send")
def send_control(
    code: Annotated[
        str, typer.Option(metavar="TYPE", help="EndDeviceControlType: 3.31.0.23 disconnects, 3.31.0.18 connects.")
    ],
    meter: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A meter by name; may be repeated.")] = None,
    mrid: Annotated[list[str] | None, typer.Option(metavar="MRID", help="A meter by mRID; may be repeated.")] = None,
    usage_point: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A usage point; may be repeated.")
    ] = None,
    verb: VerbOption = VerbOption.CREATE,
    message_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Instead of a new one, e.g. to send the same request again.")
    ] = None,
    correlation_id: Annotated[str | None, typer.Option(metavar="ID", help="Instead of the MessageID.")] = None,
    asynchronous: Annotated[
        bool, typer.Option("--asynchronous", help="Take an acknowledgement now and the reply later.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    url: Annotated[
        str, typer.Option(metavar="URL", envvar="CIS_URL", help="Where the CIS is.")
    ] = "http://127.0.0.1:8080",
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", envvar="CIS_TOKEN_FILE", help="A file with the bearer token, where the CIS wants one."
        ),
    ] = None,
) -> None:
    """Have the running CIS send one control, and show the result.

    Exit code 0: OK. 1: anything else. 2: refused as it was asked. 3: the CIS cannot be reached, so nothing was sent.
    """
    from ami_cis import client  # it loads what `serve` has no use for

    if not (meter or mrid or usage_point):
        raise typer.Exit(client.refuse("send: name at least one --meter, --mrid or --usage-point"))
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
    raise typer.Exit(client.send(url, token_file, wanted, as_json=as_json))


@app.command("read")
def read_meters(
    meter: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A meter by name; may be repeated.")] = None,
    mrid: Annotated[list[str] | None, typer.Option(metavar="MRID", help="A meter by mRID; may be repeated.")] = None,
    usage_point: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A usage point; may be repeated.")
    ] = None,
    reading_type: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="TYPE", help="A ReadingType, an OBIS code or an alias; may be repeated. None: all it has."
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="2026-11-28T12:00, with an offset or in cis.time_zone.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise; none: up to now.")] = None,
    kept: Annotated[bool, typer.Option("--kept", help="Ask no meter: show what the CIS has.")] = False,
    message_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Instead of a new one, e.g. to ask for the same answer again.")
    ] = None,
    asynchronous: Annotated[
        bool, typer.Option("--asynchronous", help="Take an acknowledgement now and the values later.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    as_plot: Annotated[bool, typer.Option("--plot", help="Bars of every series instead of a table.")] = False,
    url: Annotated[
        str, typer.Option(metavar="URL", envvar="CIS_URL", help="Where the CIS is.")
    ] = "http://127.0.0.1:8080",
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", envvar="CIS_TOKEN_FILE", help="A file with the bearer token, where the CIS wants one."
        ),
    ] = None,
) -> None:
    """Have the running CIS read meters by way of the HES, and show the values: now, or those of a period.

    Exit code 0: OK. 1: anything else. 2: refused as it was asked. 3: the CIS cannot be reached.
    """
    from ami_cis import client, read_client  # it loads what `serve` has no use for

    form = read_client.form_of(as_csv=as_csv, as_json=as_json, as_plot=as_plot)
    if form is None:
        raise typer.Exit(client.refuse("read: --csv, --json and --plot exclude each other"))
    if kept and (mrid or usage_point):
        raise typer.Exit(client.refuse("read: what is kept is found by --meter, not by --mrid or --usage-point"))
    if not (kept or meter or mrid or usage_point):
        raise typer.Exit(client.refuse("read: name at least one of --meter, --mrid and --usage-point"))
    if kept:
        query = [("meter", name) for name in meter or []] + [("type", one) for one in reading_type or []]
        query += [(name, text) for name, text in (("from", start), ("to", end)) if text]
        raise typer.Exit(read_client.look(url, token_file, query, form))
    wanted = {
        "meters": meter or [],
        "mrids": mrid or [],
        "usage_points": usage_point or [],
        "reading_types": reading_type or [],
        "from": start,
        "to": end,
        "asynchronous": asynchronous,
        "message_id": message_id,
    }
    raise typer.Exit(read_client.read(url, token_file, wanted, form))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    return exit_code_of(app, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
