"""What meters get when they are commissioned, and how their last gasps are put together."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ami_process.settings import Seconds, Section

_SETUP = re.compile(r"(\d{1,3})-(\d{1,3}):25\.9\.(\d{1,3})")


def _push_setup(value: str) -> str:
    found = _SETUP.fullmatch(value)
    if found is None or any(int(group) > 255 for group in found.groups()):
        raise ValueError("expected the logical name of a push setup, as 0-4:25.9.0")
    return value


def _push_destination(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not (host and value.isascii() and value.isprintable() and len(value) <= MOST_DESTINATION):
        raise ValueError("expected host:port")
    if not (port.isdecimal() and 0 < int(port) < 0x10000):
        raise ValueError("expected host:port, with a port from 1 to 65535")
    return value


MOST_DESTINATION = 100


class PushSettings(Section):
    """`[[hes.commissioning.push]]`: where a push setup (class 40) of every meter is to push to."""

    setup: Annotated[str, AfterValidator(_push_setup)]
    """Its logical name, as `0-4:25.9.0`."""
    destination: Annotated[str, AfterValidator(_push_destination)]
    """`host:port` of this head-end, as meters reach it."""
    transport: Literal["tcp", "udp"] = "tcp"


class CommissioningSettings(Section):
    """`[hes.commissioning]`: what a meter has to show before it is commissioned."""

    clock_within_s: Seconds = Field(default=10.0, description="a clock that is further off is set")
    master_key: bool = Field(
        default=False,
        description="whether the master key (KEK) of meters with default keys is changed as well, which takes a security setup (class 64) of version 1",
    )
    push: tuple[PushSettings, ...] = Field(default=(), max_length=16)
    """Push targets: `[[hes.commissioning.push]]`."""


class OutageSettings(Section):
    """`[hes.outages]`: how last gasps are put together."""

    levels: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        default=("feeder", "transformer"),
        max_length=8,
        description="tags of the registry that are places in the network, from the largest to the smallest",
    )
    share: float = Field(
        default=0.5, gt=0, le=1, description="of its meters (or of the places in it) that are dark where a place is out"
    )
    momentary_s: float = Field(
        default=60.0, ge=0, allow_inf_nan=False, description="an interruption that is no longer counts as momentary"
    )
    verify_every_s: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="how often meters that have said that their power is back are pinged, some at a time; 0: when somebody asks for it",
    )
    look_back_days: float = Field(
        default=7.0, gt=0, le=366, description="of how many days the events of power are looked at"
    )
