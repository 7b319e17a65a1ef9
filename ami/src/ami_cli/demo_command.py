"""`ami demo`: what it takes on the line."""

import asyncio
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ami_cli import configuration, demo
from ami_cli.demo_outputs import DemoOutput, JsonOutput, LiveOutput, PlainOutput, Setting
from ami_cli.options import SecurityOption, configuration_option
from ami_cli.simulators import FIRST_CONSOLE_PORT

MAX_PERIOD_S = 366 * 86_400.0
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class ModeOption(StrEnum):
    """What `--mode` takes."""

    DIAL_OUT = "dial-out"
    DIAL_IN = "dial-in"


DemoConfig = Annotated[Path, configuration_option("The configuration: meters, addresses, keys.")]
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


def _output(json: bool, plain: bool) -> Callable[[Setting], DemoOutput]:
    if json:
        return JsonOutput
    return PlainOutput if plain or not sys.stdout.isatty() else LiveOutput
