"""`meter-sim scenario`: let things happen to many meters in the course of time."""

from typing import Annotated
from urllib.parse import urlencode

import typer

from ami_meter_sim.commands.api_client import DEFAULT_URL, Group, TokenFile, Url, asked, show
from ami_meter_sim.scenarios import progress
from ami_meter_sim.scenarios.model import ScenarioError, load, shipped
from ami_process.terminal_text import wrapped

scenario = typer.Typer(
    name="scenario",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Let things happen to many meters in the course of time.",
)


@scenario.command("list")
def list_scenarios() -> None:
    """List the scenarios that come with the simulator, and what to expect of a head-end."""
    for name in shipped():
        typer.echo(f"{name}\n{wrapped(' '.join(load(name).about.split()), '  ')}")


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
    show(asked(url, token_file, "POST", "/scenario", {"scenario": scenario, "target": target}))


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
    found = asked(url, token_file, "GET", f"/scenario?{urlencode(wanted)}")
    if as_json:
        show(found)
        return
    typer.echo("\n".join(progress.lines(found)))


@scenario.command("stop")
def stop_scenario(url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Stop the scenario that runs; its faults are reset."""
    show(asked(url, token_file, "DELETE", "/scenario"))
