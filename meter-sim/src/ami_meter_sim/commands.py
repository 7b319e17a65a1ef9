"""The command line over the API of a running process: `meter-sim meters`, `meter-sim fault`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from ami_meter_sim.scenarios import progress
from ami_meter_sim.scenarios.model import ScenarioError, load, shipped

API = "/api/v1"
FAILED = 1
EXAMPLE = 'an object of JSON, such as {"type": "enum", "value": 2}'

Url = Annotated[str, typer.Option(envvar="METER_SIM_URL", help="Where the process serves its API.")]
TokenFile = Annotated[
    Path | None, typer.Option(envvar="METER_SIM_TOKEN_FILE", metavar="FILE", help="The file with its token.")
]
Name = Annotated[str, typer.Argument(help="Name of the meter.")]
ClassId = Annotated[int, typer.Argument(metavar="CLASS", help="Class of the object.")]
Instance = Annotated[str, typer.Argument(metavar="OBIS", help="Its logical name, such as 0-0:96.3.10*255.")]
Attribute = Annotated[int, typer.Argument(metavar="ATTRIBUTE", help="Number of the attribute.")]
Group = Annotated[
    list[str] | None,
    typer.Option(help="Population, substation, feeder, transformer or model; may be repeated: in all of them."),
]
DEFAULT_URL = "http://127.0.0.1:8082"

meters = typer.Typer(
    name="meters", no_args_is_help=True, help="Look at the meters of a running process and change them."
)
fault = typer.Typer(
    name="fault", no_args_is_help=True, help="Set faults at the meters of a running process, and reset them."
)


scenario = typer.Typer(
    name="scenario", no_args_is_help=True, help="Let things happen to many meters in the course of time."
)


@meters.command("list")
def list_meters(
    name: Annotated[str | None, typer.Option(help="With * and ? for any letters.")] = None,
    group: Group = None,
    connected: Annotated[bool | None, typer.Option(help="Whether the supply is connected.")] = None,
    having: Annotated[str | None, typer.Option("--fault", help="Those that have a fault of this name.")] = None,
    limit: Annotated[int, typer.Option(help="At most this number.")] = 100,
    skip: Annotated[int, typer.Option(help="After this number of them.")] = 0,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List meters."""
    wanted = {"name": name, "group": group, "fault": having, "limit": limit, "skip": skip}
    if connected is not None:
        wanted["connected"] = str(connected).lower()
    query = urlencode({key: value for key, value in wanted.items() if value is not None}, doseq=True)
    found = _asked(url, token_file, "GET", f"/meters?{query}")
    for one in found["meters"]:
        state = "connected" if one["connected"] else "disconnected"
        state += "" if one["powered"] else " without power"
        typer.echo(" ".join([one["name"], state, *one["faults"]]))
    if found["more"]:
        typer.echo(f"and more: --skip {skip + limit}")


@meters.command("show")
def show_meter(name: Name, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Show the state of a meter."""
    _show(_asked(url, token_file, "GET", f"/meters/{quote(name, safe='')}"))


@meters.command("objects")
def list_objects(name: Name, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List the COSEM objects of a meter."""
    for one in _asked(url, token_file, "GET", f"/meters/{quote(name, safe='')}/objects"):
        typer.echo(f"{one['class']:5} {one['instance']:20} {one['name']}")


@meters.command("read")
def read_attribute(
    name: Name,
    class_id: ClassId,
    instance: Instance,
    attribute: Attribute,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Read an attribute of an object as the meter itself sees it."""
    _show(_asked(url, token_file, "GET", _object(name, class_id, instance, attribute)))


@meters.command("set")
def set_attribute(
    name: Name,
    class_id: ClassId,
    instance: Instance,
    attribute: Attribute,
    value: Annotated[str, typer.Argument(help=EXAMPLE)],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Set an attribute of an object as the meter itself could."""
    _show(_asked(url, token_file, "PUT", _object(name, class_id, instance, attribute), _parsed(value)))


@meters.command("press")
def press_button(
    name: Name,
    button: Annotated[str, typer.Argument(help="connect or disconnect")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Press the button of a meter."""
    _show(_asked(url, token_file, "POST", f"/meters/{quote(name, safe='')}/button", {"button": button}))


@meters.command("wrong")
def set_condition(
    name: Name,
    condition: Annotated[str, typer.Argument(help="terminal_cover, meter_cover, magnet, neutral_missing ...")],
    state: Annotated[str, typer.Argument(help="on or off")] = "on",
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Open a cover, hold a magnet to the meter, take a phase away; or end that."""
    if state not in ("on", "off"):
        raise typer.BadParameter("on or off")
    path = f"/meters/{quote(name, safe='')}/conditions"
    _show(_asked(url, token_file, "POST", path, {"condition": condition, "there": state == "on"}))


@meters.command("occur")
def let_happen(
    name: Name,
    occurrence: Annotated[str, typer.Argument(help="What happens, such as terminal_cover_opened or magnet_on.")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Let something happen to a meter."""
    path = f"/meters/{quote(name, safe='')}/occurrences"
    _show(_asked(url, token_file, "POST", path, {"occurrence": occurrence}))


@meters.command("power")
def change_power(
    state: Annotated[str, typer.Argument(help="on or off")],
    name: Annotated[str | None, typer.Option(help="With * and ? for any letters.")] = None,
    group: Group = None,
    share: Annotated[float, typer.Option(help="Of these meters.")] = 1.0,
    spread_s: Annotated[float, typer.Option(help="Each at a moment of its own within so many seconds.")] = 0.0,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Let meters lose power, each with its last gasp, or get it back."""
    if state not in ("on", "off"):
        raise typer.BadParameter("on or off")
    body = {"on": state == "on", "name": name, "group": group or [], "share": share, "spread_s": spread_s}
    _show(_asked(url, token_file, "POST", "/power", body))


@fault.command("set")
def set_fault(
    name: Annotated[str, typer.Argument(metavar="FAULT", help="One of `meter-sim faults`.")],
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE ...", help="Further keys as in [[faults]]: seconds=3 when.class=7 share=0.2."
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Set a fault; it counts at once."""
    rule: dict[str, Any] = {"fault": name}
    for key in keys or []:
        _put(rule, key)
    _show(_asked(url, token_file, "POST", "/faults", rule))


@fault.command("list")
def list_rules(url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List the faults that are set."""
    for one in _asked(url, token_file, "GET", "/faults"):
        typer.echo(f"{one['number']} {json.dumps(one['rule'])}")


@fault.command("reset")
def reset_faults(
    number: Annotated[int | None, typer.Argument(help="Only the rule of this number. Default: all.")] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Back to health."""
    path = "/faults" if number is None else f"/faults/{number}"
    _show(_asked(url, token_file, "DELETE", path))


@scenario.command("list")
def list_scenarios() -> None:
    """List the scenarios that come with the simulator, and what to expect of a head-end."""
    for name in shipped():
        typer.echo(f"{name}\n  {' '.join(load(name).about.split())}")


@scenario.command("run")
def run_scenario(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="One of the list, or a file ending with .toml.")],
    meters: Annotated[str, typer.Option(help="Only at meters of these names, with * and ? for any letters.")] = "*",
    group: Group = None,
    share: Annotated[float, typer.Option(help="Of the meters of each track and each fault, this share.")] = 1.0,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Start a scenario at the meters of a running process, all of them or those that are named."""
    try:
        made = load(name)
    except ScenarioError as problem:
        raise typer.BadParameter(str(problem)) from None
    scenario = made.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    target = {"meters": meters, "group": group or [], "share": share}
    _show(_asked(url, token_file, "POST", "/scenario", {"scenario": scenario, "target": target}))


@scenario.command("show")
def show_scenario(
    meter: Annotated[str | None, typer.Option(help="Only this meter, with * and ? for any letters.")] = None,
    limit: Annotated[int, typer.Option(help="At most this number of meters and of lines of the history.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As the API gives it, for programs.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Show which meter is at which step, what it waits for, and what has happened."""
    wanted = {"limit": str(limit)} | ({} if meter is None else {"meter": meter})
    found = _asked(url, token_file, "GET", f"/scenario?{urlencode(wanted)}")
    if as_json:
        _show(found)
        return
    typer.echo("\n".join(progress.lines(found)))


@scenario.command("stop")
def stop_scenario(url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Stop the scenario that runs; its faults are reset."""
    _show(_asked(url, token_file, "DELETE", "/scenario"))


def _object(name: str, class_id: int, instance: str, attribute: int) -> str:
    return f"/meters/{quote(name, safe='')}/objects/{class_id}/{quote(instance, safe='')}/{attribute}"


def _put(rule: dict[str, Any], text: str) -> None:
    """key=value, the value as JSON or else as text; `when.class=7` goes into the table `when`."""
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not key=value")
    table, _, inner = key.rpartition(".")
    place = rule.setdefault(table, {}) if table else rule
    try:
        place[inner] = json.loads(value)
    except ValueError:
        place[inner] = value


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is not {EXAMPLE}") from None


def _show(found: Any) -> None:
    typer.echo(json.dumps(found, indent=2))


def _asked(url: str, token_file: Path | None, method: str, path: str, body: Any = None) -> Any:
    """The process's answer; a request that fails ends the command with the reason."""
    from ami_process.rest_client import Broken, NotReached, Refused, ask  # `serve` has no use for an HTTP client

    content = None if body is None else json.dumps(body)
    try:
        return json.loads(ask(url, method, API + path, content, token_file))
    except (NotReached, Broken, Refused) as problem:
        sys.stderr.write(f"{problem}\n")
        raise typer.Exit(FAILED) from None
