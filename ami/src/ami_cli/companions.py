"""`--companion` of commands that write captures: which dissector the clear APDUs in them are for."""

from enum import StrEnum
from typing import Annotated

import typer

from ami_trace.pcapng import Dissector


class CompanionReader(StrEnum):
    """What it takes."""

    STOCK = "stock"
    PLUGIN = "plugin"

    @property
    def dissector(self) -> Dissector:
        return Dissector[self.name]


CompanionOption = Annotated[
    CompanionReader, typer.Option(help="Who reads the clear APDUs: Wireshark from 4.6 itself, or the plug-in amidlms.")
]
