"""`ami sample`: a request to the HES as a SOAP file, to send with any HTTP client.

Each has a MessageID of its own, since the HES answers a MessageID that it knows without doing anything again.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from lxml import etree

from ami_cim import wire
from ami_cim.envelope import typed_wrapper
from ami_cim.identity import EndDevice, Name
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.schema import Schemas
from ami_cli.observations import CONNECT, DISCONNECT

app = typer.Typer(name="sample", add_completion=False)


class What(StrEnum):
    """What `ami sample` can ask for."""

    DISCONNECT = "disconnect"
    CONNECT = "connect"


CODES = {What.DISCONNECT: DISCONNECT, What.CONNECT: CONNECT}


@app.command("sample")
def sample(
    what: Annotated[What, typer.Argument()],
    meters: Annotated[list[str], typer.Argument(metavar="METER...", help="Names of meters.")],
    message_id: Annotated[str | None, typer.Option(help="Instead of a new one.", show_default=False)] = None,
    reply_address: Annotated[
        str | None, typer.Option(help="Acknowledge now, send the reply there later.", show_default=False)
    ] = None,
) -> None:
    """Write a SOAP request to the HES, with a fresh MessageID: to look at, to change, and to send (docs/howto/bring-your-own-cis.md)."""
    typer.echo(request(what, meters, message_id or str(uuid.uuid4()), reply_address))


def request(what: What, meters: Sequence[str], message_id: str, reply_address: str | None = None) -> str:
    """The message, indented, as text."""
    header = Header(
        verb="create",
        noun="EndDeviceControls",
        timestamp=datetime.now(UTC).replace(microsecond=0),
        source="sample",
        async_reply_flag=True if reply_address else None,
        reply_address=reply_address,
        message_id=message_id,
        correlation_id=message_id,
    )
    devices = tuple(EndDevice(names=(Name(name=meter),)) for meter in meters)
    control = EndDeviceControl(control_type=CODES[what], end_devices=devices)
    message = RequestMessage(header=header, payload=EndDeviceControls(controls=(control,)))
    octets = wire.write_request(message, typed_wrapper("create", "EndDeviceControls"), Schemas())
    root = etree.fromstring(octets)
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")
