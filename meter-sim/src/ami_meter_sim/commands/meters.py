"""`meter-sim meters`: look at the meters of a running process and change them."""

import json
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from ami_meter_sim.commands.api_client import DEFAULT_URL, Group, TokenFile, Url, asked, show

EXAMPLE = 'an object of JSON, such as {"type": "enum", "value": 2}'
Name = Annotated[str, typer.Argument(help="Name of the meter.")]
ClassId = Annotated[int, typer.Argument(metavar="CLASS", help="Class of the object.")]
Instance = Annotated[str, typer.Argument(metavar="OBIS", help="Its logical name, such as 0-0:96.3.10*255.")]
Attribute = Annotated[int, typer.Argument(metavar="ATTRIBUTE", help="Number of the attribute.")]

meters = typer.Typer(
    name="meters",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Look at the meters of a running process and change them.",
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
    found = asked(url, token_file, "GET", f"/meters?{query}")
    for one in found["meters"]:
        state = "connected" if one["connected"] else "disconnected"
        state += "" if one["powered"] else " without power"
        typer.echo(" ".join([one["name"], state, *one["faults"]]))
    if found["more"]:
        typer.echo(f"and more: --skip {skip + limit}")


@meters.command("show")
def show_meter(name: Name, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Show the state of a meter."""
    show(asked(url, token_file, "GET", f"/meters/{quote(name, safe='')}"))


@meters.command("objects")
def list_objects(name: Name, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List the COSEM objects of a meter."""
    for one in asked(url, token_file, "GET", f"/meters/{quote(name, safe='')}/objects"):
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
    show(asked(url, token_file, "GET", _object(name, class_id, instance, attribute)))


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
    show(asked(url, token_file, "PUT", _object(name, class_id, instance, attribute), _parsed(value)))


@meters.command("press")
def press_button(
    name: Name,
    button: Annotated[str, typer.Argument(help="connect, disconnect or billing")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Press the button of a meter."""
    show(asked(url, token_file, "POST", f"/meters/{quote(name, safe='')}/button", {"button": button}))


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
    show(asked(url, token_file, "POST", path, {"condition": condition, "there": state == "on"}))


@meters.command("occur")
def let_happen(
    name: Name,
    occurrence: Annotated[str, typer.Argument(help="What happens, such as terminal_cover_opened or magnet_on.")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Let something happen to a meter."""
    path = f"/meters/{quote(name, safe='')}/occurrences"
    show(asked(url, token_file, "POST", path, {"occurrence": occurrence}))


@meters.command("load", context_settings={"ignore_unknown_options": True})
def add_load(
    name: Name,
    power_w: Annotated[int, typer.Argument(metavar="WATTS", help="Below 0 it is fed in; 0 ends it.")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Let so much flow through a meter from now on, in addition to what is behind it."""
    show(asked(url, token_file, "POST", f"/meters/{quote(name, safe='')}/load", {"power_w": power_w}))


@meters.command("household")
def change_household(
    name: Name,
    kind: Annotated[str, typer.Argument(help="household, solar, heat_pump, car or shop")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Put another kind of household behind a meter from now on; its registers go on where they are."""
    show(asked(url, token_file, "POST", f"/meters/{quote(name, safe='')}/household", {"kind": kind}))


@meters.command("token")
def sell_token(
    name: Name,
    amount: Annotated[int, typer.Argument(help="In the smallest unit of the currency, such as cents.")],
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Sell a token for a meter with prepayment, as a vending system does."""
    typer.echo(asked(url, token_file, "POST", f"/meters/{quote(name, safe='')}/token", {"amount": amount})["token"])


@meters.command("power")
def change_power(
    state: Annotated[str, typer.Argument(help="on or off")],
    name: Annotated[str | None, typer.Option(help="With * and ? for any letters.")] = None,
    group: Group = None,
    share: Annotated[float, typer.Option(help="Of these meters.")] = 1.0,
    spread_s: Annotated[float, typer.Option(help="Each at a moment of its own within this number of seconds.")] = 0.0,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Let meters lose power, each with its last gasp, or get it back."""
    if state not in ("on", "off"):
        raise typer.BadParameter("on or off")
    body = {"on": state == "on", "name": name, "group": group or [], "share": share, "spread_s": spread_s}
    show(asked(url, token_file, "POST", "/power", body))


def _object(name: str, class_id: int, instance: str, attribute: int) -> str:
    return f"/meters/{quote(name, safe='')}/objects/{class_id}/{quote(instance, safe='')}/{attribute}"


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is not {EXAMPLE}") from None
