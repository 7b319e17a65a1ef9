"""How a scan shows itself: a bar on standard error while it runs, the result on standard output."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ami_cli.meter import output
from ami_cli.meter.errors import words
from ami_cli.meter.output import Format
from ami_cli.meter.pack_names import NO_NAMES, PackNames
from ami_cli.meter.scan import DeviceScan, Scan
from ami_cli.meter.scan import Progress as TellProgress
from ami_dlms.enums import DataAccessResult


@contextmanager
def progress() -> Iterator[TellProgress]:
    """A bar; nothing where standard error is no terminal."""
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("association", total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        yield report


def show(found: Scan, wanted: Format, names: PackNames = NO_NAMES) -> None:
    """All of it, in one format."""
    if wanted is Format.JSON:
        output.write(output.as_json(found.document()))
    elif wanted is Format.CSV:
        output.write(output.as_csv(found.rows(), output.CSV_COLUMNS).rstrip("\n"))
    else:
        _tables(found, names)


def _tables(found: Scan, names: PackNames) -> None:
    if found.logical_devices_error:
        output.write(f"logical devices: {found.logical_devices_error}")
    if found.logical_devices:
        rows = [(str(one.sap), one.name) for one in found.logical_devices]
        output.show(output.rows_table(("SAP", "name"), rows, "Logical devices"))
    for device in found.devices:
        for line in device.odd:
            output.write(line)
        if device.readings or device.ended is None:
            output.show(output.readings_table(device.readings, _heading(device), names))


def _heading(device: DeviceScan) -> str:
    read = sum(1 for one in device.readings if one.value is not None)
    errors = [one.error for one in device.readings if one.error]
    refused = sum(1 for error in errors if error in REFUSALS)
    text = f"Logical device {device.sap}: {len(device.objects)} objects, {read} values"
    text += f", {refused} refused" if refused else ""
    return text + (f", {len(errors) - refused} without a good answer" if len(errors) > refused else "")


REFUSALS = frozenset(words(one.name) for one in DataAccessResult)
