"""`hes meters quarantine`: callers that no entry of the registry of a running head-end names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from ami_hes.api import paths
from ami_hes.api.values.meters import RowResult
from ami_hes.api.values.quarantine import Acceptance, Caller, CallerList
from ami_hes.client.asking import DEFAULT_URL, AsJson, TokenFile, Url, format_moment, head_end, show, show_json, table
from ami_process.asking import RunningProcess
from ami_process.shipment_files import ShipmentFileError, read_rows

quarantine = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Who has called and is in no entry."
)
Name = Annotated[str, typer.Argument(metavar="CALLER", help="What it says that it is called.")]


@quarantine.command("list")
def list_callers(as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List callers, who was heard last first. Nothing that they say of themselves is proved."""
    found = head_end(url, token_file).get(paths.QUARANTINE, CallerList)
    if as_json:
        show_json(found)
        return
    if not found.callers:
        show("Nobody is in quarantine.")
        return
    lines = table("caller", "system title", "from", "first seen", "last seen", "calls", numbers=(5,))
    for one in found.callers:
        seen = format_moment(one.first_seen_at), format_moment(one.last_seen_at)
        lines.add_row(one.name, one.system_title or "", one.address, *seen, str(one.calls))
    show(lines)


@quarantine.command("show")
def show_caller(name: Name, as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Show one caller."""
    _show(head_end(url, token_file).get(_path(name), Caller), as_json=as_json)


@quarantine.command("accept")
def accept(
    name: Name,
    mrid: Annotated[str | None, typer.Option(metavar="MRID", help="Of the meter.")] = None,
    meter: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What it is to be called.")] = None,
    device_id: Annotated[str | None, typer.Option(metavar="ID", help="What it shows as its device id.")] = None,
    shipment: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A shipment that has a row for it, with its keys.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Take a caller into the registry: by its row of a shipment, or as a meter without keys. Its next call is recognised.

    Exit code 2: refused, or the file cannot be used. 3: the HES cannot be reached.
    """
    hes = head_end(url, token_file)
    said = {"mrid": mrid, "name": meter, "device_id": device_id}
    columns: dict[str, object] = {column: value for column, value in said.items() if value is not None}
    if shipment is not None:
        columns = {**_row_of(hes, shipment, hes.get(_path(name), Caller)), **columns}
    else:
        columns = {"authentication": "none", **columns}
    result = hes.get(_path(name), RowResult, "POST", Acceptance(columns=columns).model_dump_json())
    if as_json:
        show_json(result)
    else:
        show(f"{result.meter} is in the registry ({result.outcome}): its next call is recognised")


@quarantine.command("forget")
def forget(name: Name, as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Forget a caller. Should it call again, it is here again."""
    found = head_end(url, token_file).get(_path(name), Caller, "DELETE")
    if as_json:
        show_json(found)
    else:
        show(f"{found.name} is not in quarantine any more")


def _row_of(hes: RunningProcess, file: Path, caller: Caller) -> Mapping[str, object]:
    """The row of the shipment with the caller's logical device name or system title."""
    from ami_registry import parse_cell  # it brings ciphers; no other command has use for them

    try:
        for row in read_rows(file, parse_cell):
            title = str(row.get("system_title", "")).lower()
            if row.get("logical_device_name") == caller.name or title == (caller.system_title or caller.name):
                return row
    except ShipmentFileError as problem:
        raise hes.refused(f"{file}: {problem}") from None
    raise hes.refused(f"{file} has no row for {caller.name}")


def _show(one: Caller, *, as_json: bool) -> None:
    if as_json:
        show_json(one)
        return
    lines = table("field", "value")
    for field, value in one.model_dump().items():
        lines.add_row(field, format_moment(value) if field.endswith("_at") else str(value or ""))
    show(lines)


def _path(name: str) -> str:
    return f"{paths.QUARANTINE}/{quote(name, safe='')}"
