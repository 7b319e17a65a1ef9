"""The command line `ami`: starts, watches, decodes and measures the reference system."""

import asyncio
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import tomli_w
import typer
from rich.console import Console
from rich.status import Status

from ami_process.loading import loading

with loading():
    from ami_cli import configuration, demo, generated_meters
    from ami_cli.demo_outputs import DemoOutput, JsonOutput, LiveOutput, PlainOutput, Setting
    from ami_cli.lazy_commands import LAZY_COMMANDS
    from ami_cli.simulators import FIRST_CONSOLE_PORT
    from ami_process.commands import lazy_group, version_option

MAX_PERIOD_S = 366 * 86_400.0
app = typer.Typer(
    name="ami",
    cls=lazy_group(LAZY_COMMANDS),
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class SecurityOption(StrEnum):
    """What `--security` takes."""

    NONE = "none"
    DEFAULT = "default"


class ModeOption(StrEnum):
    """What `--mode` takes."""

    DIAL_OUT = "dial-out"
    DIAL_IN = "dial-in"


def _configuration(meaning: str) -> Any:
    return typer.Option(
        default_factory=configuration.default,
        show_default=f"{configuration.DEMO}, or else the one that is installed",
        help=meaning,
    )


@app.callback()
def front_door(version: Annotated[bool, version_option("ami-reference")] = False) -> None:
    """AMI reference system: CIS, HES and meters, each a process, meeting only on real sockets."""


DemoConfig = Annotated[Path, _configuration("The configuration: meters, addresses, keys.")]
Cycles = Annotated[
    int,
    typer.Option(
        min=0,
        envvar="AMI_DEMO__CYCLES",
        help="Stop after this number of cycles (a disconnect and a connect each); 0 = no limit.",
    ),
]
Period = Annotated[
    float | None,
    typer.Option(
        min=0.01, max=MAX_PERIOD_S, envvar="AMI_DEMO__PERIOD_S", help="Seconds from one disconnect to the next."
    ),
]
NumberOfMeters = Annotated[
    int | None,
    typer.Option(
        min=1, envvar="AMI_METERS", help="Number of meters; beyond those of the file, simulated ones are added."
    ),
]
Security = Annotated[
    SecurityOption, typer.Option(help="none: no authentication, no ciphering, to read along in Wireshark.")
]
Mode = Annotated[ModeOption, typer.Option(help="dial-in: the last meter connects to the HES.")]
Asynchronous = Annotated[bool, typer.Option("--asynchronous", help="Acknowledge at once, reply later.")]
Tls = Annotated[bool, typer.Option("--tls", help="CIS and HES speak mutual TLS, with certificates made for the demo.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Plain = Annotated[bool, typer.Option("--plain", help="Lines of text, on a terminal too.")]
CisPort = Annotated[int | None, typer.Option(min=1, max=65535, envvar="AMI_CIS__PORT", help="Where the CIS serves.")]
HesPort = Annotated[int | None, typer.Option(min=1, max=65535, envvar="AMI_HES__PORT", help="Where the HES serves.")]
DlmsPort = Annotated[
    int | None, typer.Option(min=1, max=65535, envvar="AMI_HES__DLMS_PORT", help="Where meters dial in.")
]
MeterPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Of the first meter; the others follow.")]
MeterSimPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        envvar="AMI_METER_SIM__PORT",
        help="Of the first console of simulated meters; the others follow; 0: none.",
        show_default=f"{FIRST_CONSOLE_PORT}, or else that of the file, where one process plays all meters",
    ),
]
State = Annotated[
    Path | None,
    typer.Option(help="A directory for stores and logs, instead of the file's: a second demo needs its own."),
]


@app.command("demo")
def run_demo(
    config: DemoConfig,
    cycles: Cycles = 0,
    period: Period = None,
    meters: NumberOfMeters = None,
    security: Security = SecurityOption.DEFAULT,
    mode: Mode = ModeOption.DIAL_OUT,
    asynchronous: Asynchronous = False,
    tls: Tls = False,
    json: Json = False,
    plain: Plain = False,
    cis_port: CisPort = None,
    hes_port: HesPort = None,
    dlms_port: DlmsPort = None,
    meter_port: MeterPort = None,
    meter_sim_port: MeterSimPort = None,
    state: State = None,
) -> None:
    """Start CIS, HES and meters, show what happens, stop on Ctrl-C.

    Exit code 0: every command was confirmed by every meter. 1: not all were. 98: a port is taken.
    """
    output = _output(json, plain)
    changes = configuration.Changes(
        cycles=cycles,
        security=security,
        mode=mode,
        asynchronous=asynchronous,
        tls=tls,
        log_apdus=output is LiveOutput,
        meters=meters,
        period_s=period,
        cis_port=cis_port,
        hes_port=hes_port,
        dlms_port=dlms_port,
        meter_port=meter_port,
        meter_sim_port=meter_sim_port,
        state=state,
    )
    options = demo.Options(configuration=config, changes=changes, output=output, programs=demo.programs)
    raise typer.Exit(_exit_code_of(options))


def _exit_code_of(options: demo.Options) -> int:
    try:
        return asyncio.run(demo.run(options))
    except demo.PortsTaken as trouble:
        typer.echo(str(trouble), err=True)
        return demo.PORTS_TAKEN
    except configuration.ConfigurationError as trouble:
        typer.echo(str(trouble), err=True)
        return 1


@app.command("fleet")
def make_fleet(
    base: Annotated[Path, _configuration("Everything else, and the first meters, come from here.")],
    count: Annotated[int, typer.Option(min=1, help="How many meters.")] = 100,
    seed: Annotated[str, typer.Option(help="Keys and identities come from it: the same seed, the same fleet.")] = "ami",
    layout: Annotated[
        generated_meters.Layout,
        typer.Option(
            help="ports: a port each; one-address: a logical device each; docker: as docker-compose.yml has them."
        ),
    ] = generated_meters.Layout.PORTS,
    address: Annotated[str, typer.Option(help="host:port of the first, or of all.")] = "127.0.0.1:4061",
    security: Annotated[
        SecurityOption, typer.Option(help="none: no authentication, no ciphering.")
    ] = SecurityOption.DEFAULT,
    part: Annotated[
        generated_meters.Share,
        typer.Option(help="Only what this container of the layout docker needs: the CIS no key, a meter its own."),
    ] = generated_meters.Share.ALL,
    output: Annotated[Path | None, typer.Option(help="Write here, not to the screen.")] = None,
) -> None:
    """Write a configuration with many simulated meters, each with keys of its own."""
    clear = security is SecurityOption.NONE
    try:
        document = generated_meters.fleet(
            configuration.load(base), count, seed=seed, layout=layout, address=address, clear=clear
        )
    except configuration.ConfigurationError as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(1) from None
    options = (" --security none" if clear else "") + ("" if part is generated_meters.Share.ALL else f" --part {part}")
    document, note = generated_meters.part(document, part), generated_meters.note(part)
    heading = generated_meters.HEADING.format(
        count=count, seed=seed, layout=layout, base=base, options=options, note=note
    )
    text = heading + tomli_w.dumps(document)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")


@app.command("bench")
def run_bench(
    base: Annotated[Path, _configuration("The configuration that the fleet is made from.")],
    meters: Annotated[str, typer.Option(help="Sizes of the request, with commas.")] = "2,100,1000",
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each size.")] = 5,
    warm_up: Annotated[int, typer.Option(min=0, help="Uncounted runs before them.")] = 2,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Compare the CPU with this HES too: a command line that --config FILE is appended to.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    write: Annotated[Path | None, typer.Option(help="Write the page here as Markdown, too.")] = None,
) -> None:
    """Time one control for many meters over real sockets, and show where the time goes."""
    from ami_cli import bench, bench_cpu, bench_report  # they load the whole HES, and `ami demo` should start at once

    console = Console(stderr=True)
    figures, cpu = [], []
    try:
        with console.status("starting") as status:
            for size in (int(word) for word in meters.split(",")):
                report = partial(_report_progress, status, size)
                figures.append(asyncio.run(bench.measure(base, size, runs, warm_up, report)))
            if bench_cpu.is_measurable():
                cpu = asyncio.run(bench_cpu.measure(base, size, runs, bench_cpu.contenders(against), report))
    except (bench.BenchError, configuration.ConfigurationError, ValueError) as trouble:
        typer.echo(str(trouble), err=True)
        raise typer.Exit(1) from None
    machine = bench.machine()
    if write is not None:
        write.write_text(bench_report.markdown(figures, machine, cpu=cpu), "utf-8")
    if json:
        typer.echo(dumps(bench_report.document(figures, machine, cpu=cpu)))
    else:
        Console().print(bench_report.terminal(figures, machine, cpu))


@app.command("one-request")
def write_one_request(
    base: Annotated[Path, _configuration("Whose M1001 is asked.")],
    write: Annotated[Path | None, typer.Option(help="Write the page here, not to the screen.")] = None,
) -> None:
    """Show one disconnect hop by hop, with its real XML and octets (docs/one-request.md)."""
    from ami_cli import one_request  # it loads all services, and `ami demo` should start at once

    page = asyncio.run(one_request.page(base))
    if write is None:
        typer.echo(page, nl=False)
    else:
        write.write_text(page, "utf-8")


def _report_progress(status: Status, size: int, text: str) -> None:
    status.update(f"{size:,} meters: {text}")


def _output(json: bool, plain: bool) -> Callable[[Setting], DemoOutput]:
    if json:
        return JsonOutput
    return PlainOutput if plain or not sys.stdout.isatty() else LiveOutput


def main() -> None:
    """What `ami` on the command line runs."""
    app()


if __name__ == "__main__":
    main()
