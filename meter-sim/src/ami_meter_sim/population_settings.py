"""The settings of a population: one `[[populations]]` table for any number of meters, each of which is derived from seed and number.

What a table says is checked here and, where it has to fit together (serial numbers, addresses, security), when the population is made.
"""

import os
import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ami_process.secret_sources import SecretSources
from ami_process.settings import Port, Seconds, Section
from ami_registry import parse_secret

WINDOW = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
MOST_CALLERS = 10_000
"""Of a population that dials in."""
MOST = 1 << 24
"""Meters of one population: the store spreads the numbers of meters out by this."""


def _seed(value: object) -> object:
    """As it is, or `env:NAME` or `file:PATH`."""
    if isinstance(value, str) and value.startswith(("env:", "file:")):
        scheme, _, rest = value.partition(":")
        return SecretSources(os.environ)(scheme, rest).strip()
    return value


def socket_address(value: str) -> str:
    """As it is; ValueError unless it is "host:port"."""
    host, _, port = value.rpartition(":")
    if not (host and port.isdecimal() and int(port) <= 65535):
        raise ValueError('expected "host:port"')
    return value


def destination(value: str) -> str:
    """The same for the destination of pushes."""
    scheme, _, rest = value.partition("://")
    if scheme not in ("tcp", "udp", "hdlc"):
        raise ValueError('expected "tcp://host:port", "udp://host:port" or "hdlc://host:port"')
    socket_address(rest)
    return value


def _secret(value: object) -> object:
    return parse_secret(value, SecretSources(os.environ)) if isinstance(value, str) else value


Secret = Annotated[bytes, BeforeValidator(_secret)]


class TopologySettings(Section):
    """`[populations.topology]`: how many of each there are in the next larger one."""

    meters_per_transformer: int = Field(default=40, ge=1)
    """Meters behind one transformer."""
    transformers_per_feeder: int = Field(default=12, ge=1)
    """Transformers on one feeder."""
    feeders_per_substation: int = Field(default=8, ge=1)
    """Feeders of one substation."""
    latitude: float = Field(default=0.0, ge=-90, le=90)
    """Of the first substation, in degrees; 0, 0 is in the sea."""
    longitude: float = Field(default=0.0, ge=-180, le=180)
    """The same."""


class SharesSettings(Section):
    """`[populations.shares]`: parts of the population behind whose meters there is this; only the ratios count."""

    household: int = Field(default=55, ge=0)
    """A household without anything of the following."""
    solar: int = Field(default=25, ge=0, description="a household with a solar roof")
    heat_pump: int = Field(default=10, ge=0)
    """A household with a heat pump."""
    car: int = Field(default=7, ge=0, description="a household with an electric car")
    shop: int = Field(default=3, ge=0)
    """A shop."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.household or self.solar or self.heat_pump or self.car or self.shop):
            raise ValueError("one of the shares has to be above 0")
        return self


class PushesSettings(Section):
    """`[populations.push]`: what the push setups (class 40) of its meters say before a client writes them."""

    to: str
    """`tcp://host:port`, `udp://host:port`, or `hdlc://host:port` for unnumbered information of HDLC over TCP."""
    on: tuple[Literal["alarm", "installation", "power-down", "power-up", "switch"], ...] = (
        "alarm",
        "installation",
        "power-down",
        "power-up",
    )
    """What lets a meter push, beside schedules of its model; `power-down` is the last gasp."""
    interval_s: int | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description="one at each end of such a period of UTC; unset: as the model's schedules say",
    )
    randomised_s: int | None = Field(
        default=None, ge=0, le=0xFFFF, description="each begins within this time; not alarms and last gasps"
    )
    seed: int = 0
    """Decides when."""
    retries: int | None = Field(default=None, ge=0, le=0xFF, description="how often it is tried again; not last gasps")
    retry_delay_s: int | None = Field(default=None, ge=0, le=0xFFFF, description="before it is tried again")
    windows: tuple[str, ...] | None = Field(
        default=None,
        max_length=8,
        description='of each local day, as "01:00-05:30": others than alarms and last gasps wait',
    )
    client_wport: int | None = Field(
        default=None,
        ge=1,
        le=127,
        description="the client that they are for; unset: that of the model's pre-established association, else the management client",
    )
    protected: bool = True
    """As the association of this client wants; `false`: unencrypted."""

    @field_validator("to")
    @classmethod
    def _is_destination(cls, value: str) -> str:
        return destination(value)

    @field_validator("windows")
    @classmethod
    def _are_windows(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for one in value or ():
            if WINDOW.fullmatch(one) is None:
                raise ValueError(f'{one[:20]!r} is no window: expected "hh:mm-hh:mm"')
        return value


class PopulationSettings(Section):
    """`[[populations]]`: meters in great number, each with keys, titles and names of its own."""

    name: str = Field(description="by which it is known to groups, faults and commands")
    model: str = Field(
        default="residential",
        pattern=r"^([A-Za-z0-9_-]+|[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*|.+\.toml)$",
        description="a model that comes with the simulator, `pack/model` for one of a pack, or the path of a file",
    )
    count: int = Field(ge=1, le=MOST, description="number of meters; may grow from one run to the next")
    seed: Annotated[str, BeforeValidator(_seed)] = Field(
        repr=False, min_length=1, description="decides everything, the keys included: a text, `env:NAME` or `file:PATH`"
    )
    manufacturer: str = Field(default="AMI", pattern="^[A-Z]{3}$", description="three capital letters")
    first_serial: int = Field(
        default=1_000_001,
        ge=1,
        description="the serial number of the first meter, which is in its system title as well",
    )
    address: str = "127.1.0.0"
    """Of the first meter, or of all."""
    port: Port = 4059
    """The same."""
    addressing: Literal["address-each", "port-each", "logical-devices"] = Field(
        default="address-each", description="what distinguishes the meters; the last: the server wrapper port"
    )
    transport: Literal["wrapper", "udp", "hdlc"] = "wrapper"
    """The wrapper over TCP or UDP, or HDLC over TCP."""
    connections_per_meter: int | None = Field(
        default=None,
        ge=1,
        description="1 for a meter with one session at a time; one more takes an idle one's place, or is closed at once; unset: as `[meter_sim]` says",
    )
    dial_to: str | None = None
    """`host:port` that each of them calls instead of listening, from its own address where it can; 10,000 at most."""
    client_wport: int = Field(default=1, ge=1, le=127)
    """Of the management client."""
    public_client: bool = True
    """Whether client 16 may read who the meter is, without a key."""
    authentication: Literal["none", "lls", "hls-md5", "hls-sha1", "hls-gmac", "hls-sha256", "hls-ecdsa"] = "hls-gmac"
    """How the management client associates; `hls-ecdsa` in suites 1 and 2."""
    suite: int = Field(default=0, ge=0, le=2)
    """Security suite."""
    ciphering: Literal["none", "general-glo", "general-ded", "service-specific"] = "general-glo"
    """How its APDUs are ciphered; `none`: not at all."""
    client_system_title: Secret = Field(
        default=bytes.fromhex("414D490000000001"),
        min_length=8,
        max_length=8,
        description="8 octets, of the only client of an association that is pre-established; unset: that of the HES",
    )
    client_signing_key: Secret | None = None
    """The head-end's public key, x and y, for `hls-ecdsa`; unset: a pair that the seed decides, in the shipment file."""
    lock_out_after: int | None = Field(
        default=None, ge=1, description="number of successive wrong keys that lock clients out"
    )
    lock_out_s: Seconds = Field(
        default=60.0, description="for so long the first time; twice as long each further time, up to an hour"
    )
    control_mode: int = Field(default=4, ge=0, le=7)
    """Of the disconnect control."""
    time_zone_minutes: int = Field(default=0, ge=-720, le=720, description="minutes from local time to UTC")
    push: PushesSettings | None = None
    """Where and when its meters push: `[populations.push]`; unset: where a client writes it."""
    topology: TopologySettings = TopologySettings()
    """Sizes of its network: `[populations.topology]`."""
    shares: SharesSettings = SharesSettings()
    """What is behind its meters: `[populations.shares]`."""

    @field_validator("dial_to")
    @classmethod
    def _is_socket_address(cls, value: str | None) -> str | None:
        return value if value is None else socket_address(value)

    @model_validator(mode="after")
    def _can_dial(self) -> Self:
        if self.dial_to is None:
            return self
        if self.count > MOST_CALLERS:
            raise ValueError(f"{self.count} meters with dial_to: {MOST_CALLERS} at most, each keeps a connection open")
        if self.addressing != "address-each" or self.transport != "wrapper":
            raise ValueError('dial_to needs addressing = "address-each" and transport = "wrapper"')
        return self

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if NAME.fullmatch(value) is None:
            raise ValueError("up to 64 letters, digits, dots, hyphens and underscores")
        return value
