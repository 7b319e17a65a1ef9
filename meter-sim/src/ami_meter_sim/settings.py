"""The simulator's settings: `[meter_sim]` and `[[meters]]` of the one TOML file that all processes share.

`AMI_METER_SIM__STATE=/tmp/x` overrides `[meter_sim] state`, `AMI_METERS=20` takes the first 20 of `[[meters]]`. A meter
without `[meters.simulated]` is a real one: it may have what no simulated meter has, and it is left alone. Unknown keys of these sections are refused, because a misspelt fault that is silently ignored spoils the test it was meant for.
Keys are given as hex, `text:...`, `env:NAME` or `file:PATH`. No message of this module ever holds a key.
"""

import os
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ami_process.settings import FileSettings, Seconds, Section, SettingsError

DIALS_IN = "dials-in"
PUBLIC_CLIENT_WPORT = 16


class Authentication(StrEnum):
    """How the management client has to prove itself."""

    NONE = "none"
    LLS = "lls"
    HLS_MD5 = "hls-md5"
    HLS_SHA1 = "hls-sha1"
    HLS_GMAC = "hls-gmac"
    HLS_SHA256 = "hls-sha256"


WITH_SECRET = frozenset(
    {Authentication.LLS, Authentication.HLS_MD5, Authentication.HLS_SHA1, Authentication.HLS_SHA256}
)
"""A password, or the secret that goes into the proof."""


class CipheringForm(StrEnum):
    """Which ciphered APDUs carry the services."""

    NONE = "none"
    GENERAL_GLO = "general-glo"
    SERVICE_SPECIFIC = "service-specific"


def _octets(value: object, *, password: bool = False) -> object:
    """Turn hex, `text:...`, `env:NAME` or `file:PATH` into octets; the registry of the head-end is read by the same rule."""
    if not isinstance(value, str):
        return value
    source, _, rest = value.partition(":")
    if source == "env":
        if rest not in os.environ:
            raise ValueError(f"the environment variable {rest} is not set")
        value = os.environ[rest]
    elif source == "file":
        try:
            value = Path(rest).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file {rest} can't be read as text ({type(error).__name__})") from None
    prefix, separator, rest = value.partition(":")
    if separator and prefix == "text":
        return rest.encode("utf-8")
    digits = rest if separator and prefix == "hex" else value.strip()
    if password and not separator and _is_ambiguous(digits):
        raise ValueError('digits alone may be text or hex: write "text:..." for a password, or "hex:..."')
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError("expected hex digits, text:..., env:NAME or file:PATH") from None


def _is_ambiguous(digits: str) -> bool:
    """Whether it may be text as well as hex: decimal digits, unless their octets spell text."""
    if not (digits.isascii() and digits.isdecimal()):
        return False
    return len(digits) % 2 == 1 or not all(0x20 <= octet < 0x7F for octet in bytes.fromhex(digits))


def _socket_address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not (host and port.isdecimal() and int(port) <= 65535):
        raise ValueError('expected "host:port"')
    return value


def _action_result(value: object) -> object:
    """A name of the standard, however it is written, for comparison with the enumeration."""
    return value.strip().upper().replace("-", "_") if isinstance(value, str) else value


Octets = Annotated[bytes, BeforeValidator(_octets)]
Password = Annotated[bytes, BeforeValidator(partial(_octets, password=True))]
Wport = Annotated[int, Field(ge=1, le=65535)]
SocketAddress = Annotated[str, Field(min_length=3)]


class MeterSimSettings(Section):
    """`[meter_sim]`: what all simulated meters of the process share."""

    state: Path = Path("var/meters")
    """A folder: invocation counters, switch states, profiles."""
    connections_per_meter: int = Field(
        default=4, ge=1, description="one more takes an idle one's place, or is closed at once"
    )
    idle_timeout_s: Seconds = Field(default=180.0, description="a silent connection is closed after this")
    redial_first_s: Seconds = 1.0
    """A meter that dials in calls again after this; the pause doubles each time."""
    redial_most_s: Seconds = 60.0
    """The longest pause."""


class SimulatedSettings(Section):
    """`[meters.simulated]`: what only the simulator reads."""

    model: str = Field(
        default="residential",
        pattern=r"^([A-Za-z0-9_-]+|.+\.toml)$",
        description="a model that comes with the simulator, or the path of a file",
    )
    listen: str | None = None
    """`host:port` where it listens, if that is not its address."""
    dial_to: str | None = None
    """`host:port` that it calls, if its address is `dials-in`."""
    control_mode: int = Field(default=4, ge=0, le=6)
    """Of its disconnect control; counts when it differs from that of the last run."""
    time_zone_minutes: int = Field(default=0, ge=-720, le=720, description="minutes from local time to UTC")
    kill_after_action: Literal[False, True, "exit"] = False
    """`true`: between an ACTION on the switch and its answer the connection ends; `"exit"`: the process."""
    lie_about_action: bool = False
    """It answers success and does not switch."""
    refuse_action: int | str | None = None
    """The action-result that it answers instead of switching, by name or number."""
    answer_delay_s: float = Field(default=0.0, ge=0, le=3600)
    """So long before every answer."""
    silent: Literal[False, True, "always"] = False
    """`true`: associations open, requests stay unanswered; `"always"`: nothing is answered."""
    lock_out_after: int | None = Field(
        default=None, ge=1, description="so many wrong keys in a row shut the management client out"
    )
    lock_out_s: Seconds = Field(
        default=60.0, description="for so long the first time; twice as long each further time, up to an hour"
    )
    push_to: str | None = None
    """`tcp://host:port` or `udp://host:port` of its DataNotifications."""
    push_on_switch: bool = True
    """One when it has switched."""
    push_every_s: Seconds | None = None
    """One every so often."""
    push_protected: bool = True
    """Ciphered."""

    @field_validator("listen", "dial_to")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        return value if value is None else _socket_address(value)

    @field_validator("refuse_action", mode="before")
    @classmethod
    def _standard_name(cls, value: object) -> object:
        return _action_result(value)

    @field_validator("push_to")
    @classmethod
    def _scheme(cls, value: str | None) -> str | None:
        if value is None:
            return None
        scheme, _, rest = value.partition("://")
        if scheme not in ("tcp", "udp"):
            raise ValueError('expected "tcp://host:port" or "udp://host:port"')
        _socket_address(rest)
        return value


class MeterSettings(Section):
    """One `[[meters]]` table. Keys never show in a repr."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$",
        description="by which CIM knows it; also the name of its state files",
    )
    mrid: str = ""
    """By which CIM knows it; the HES insists on one."""
    usage_points: tuple[str, ...] = ()
    """Names by which CIM knows it as well."""
    address: str
    """`host:port` where the HES calls it, or `dials-in`."""
    client_wport: Annotated[int, Field(ge=1, le=127)] = 1
    """Of the management client."""
    server_wport: Wport = 1
    """Of its logical device; several meters may share an address."""
    authentication: Authentication = Authentication.HLS_GMAC
    """Of the management client. The HES works with `none`, `lls` and `hls-gmac`."""
    suite: Literal[0] = 0
    """Security suite."""
    ciphering: CipheringForm = CipheringForm.GENERAL_GLO
    """Of the APDUs: whole (`general-glo`), by service, or not at all."""
    encryption_key: Octets | None = Field(default=None, repr=False)
    """Hex, `env:NAME` or `file:PATH`."""
    authentication_key: Octets | None = Field(default=None, repr=False)
    """The same."""
    secret: Password | None = Field(default=None, repr=False)
    """The password of LLS, or the secret of an HLS; the same, in hex."""
    system_title: Octets | None = None
    """Of 8 octets; ciphering needs it."""
    logical_device_name: str = Field(min_length=1, max_length=16)
    """What the meter answers to when it dials in."""
    device_id: str = Field(min_length=1, max_length=48)
    """What the HES finds in it before it switches, so that no other device is switched."""
    device_id_object: str | None = Field(
        default=None, description="OBIS of the object with the device id; only the HES reads this"
    )
    disconnect_object: str | None = Field(
        default=None, description="OBIS of its disconnect control; only the HES reads this"
    )
    disconnect_version: int | None = Field(default=None, description="version of its class 70; only the HES reads this")
    invocation_counter: str | None = Field(
        default=None, description="OBIS of the object with the invocation counter; only the HES reads this"
    )
    simulated: SimulatedSettings = SimulatedSettings()

    @property
    def ciphered(self) -> bool:
        """Whether its APDUs are ciphered; authentication "none" means that nothing is."""
        return (
            self.authentication is not Authentication.NONE
            and self.ciphering is not CipheringForm.NONE
            and self.encryption_key is not None
        )

    @property
    def listens_on(self) -> str | None:
        """Host and port it listens on; None for a meter that dials in."""
        return self.simulated.listen or (None if self.address == DIALS_IN else self.address)

    @field_validator("address")
    @classmethod
    def _address_is_complete(cls, value: str) -> str:
        return value if value == DIALS_IN else _socket_address(value)

    @field_validator("logical_device_name", "device_id")
    @classmethod
    def _ascii(cls, value: str) -> str:
        if not value.isascii():
            raise ValueError("expected ASCII characters")
        return value

    @field_validator("system_title")
    @classmethod
    def _eight_octets(cls, value: bytes | None) -> bytes | None:
        if value is not None and len(value) != 8:
            raise ValueError("a system title has 8 octets")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.address == DIALS_IN and self.simulated.dial_to is None:
            raise ValueError(f'address = "{DIALS_IN}" needs simulated.dial_to = "host:port"')
        if self.client_wport == PUBLIC_CLIENT_WPORT:
            raise ValueError(f"client_wport {PUBLIC_CLIENT_WPORT} belongs to the public client")
        if self.authentication in WITH_SECRET and self.secret is None:
            raise ValueError(f'authentication = "{self.authentication}" needs a secret')
        if self.authentication is Authentication.HLS_SHA256 and self.system_title is None:
            raise ValueError('authentication = "hls-sha256" needs a system_title: it goes into the proof')
        needs_keys = self.authentication is Authentication.HLS_GMAC or self.ciphered
        if needs_keys and None in (self.encryption_key, self.authentication_key, self.system_title):
            raise ValueError(
                "authentication or ciphering with keys needs encryption_key, authentication_key, system_title"
            )
        for key in (self.encryption_key, self.authentication_key):
            if key is not None and len(key) != 16:
                raise ValueError("the keys of security suite 0 have 16 octets")
        return self


class Settings(FileSettings):
    """All that the simulator knows from outside."""

    meter_sim: MeterSimSettings = MeterSimSettings()
    meters: tuple[MeterSettings, ...] = ()
    meter_count: int | None = Field(default=None, ge=0)
    demo: dict[str, Any] = Field(default={}, repr=False)
    cis: dict[str, Any] = Field(default={}, repr=False)
    hes: dict[str, Any] = Field(default={}, repr=False)
    partners: tuple[dict[str, Any], ...] = Field(default=(), repr=False)

    @model_validator(mode="before")
    @classmethod
    def _only_simulated(cls, values: dict[str, Any]) -> dict[str, Any]:
        meters, count = values.get("meters"), values.get("meter_count")
        if not isinstance(meters, list | tuple):
            return values
        if isinstance(count, int) and count > len(meters):
            raise ValueError(f"AMI_METERS asks for {count} meters, [[meters]] holds {len(meters)}")
        ours = [one for one in meters[:count] if not isinstance(one, dict) or "simulated" in one]
        return values | {"meters": ours}

    @model_validator(mode="after")
    def _meters_are_distinct(self) -> Self:
        # the state files bear the name, and some file systems do not tell capitals from small letters
        everyone: list[tuple[str, object]] = [("name", meter.name.lower()) for meter in self.meters]
        addresses = ((meter.listens_on, meter.server_wport) for meter in self.meters)
        everyone += [("address and server_wport", one) for one in addresses if one[0] and not one[0].endswith(":0")]
        for (kind, value), count in Counter(everyone).items():
            if count > 1:
                raise ValueError(f"the {kind} {value} stands in more than one of [[meters]]")
        return self


def choose_meters(settings: Settings, names: Sequence[str]) -> tuple[MeterSettings, ...]:
    """The meters that run in this process: those named, or all that are simulated. Raises SettingsError."""
    if not names:
        return settings.meters
    known = {meter.name: meter for meter in settings.meters}
    if unknown := [name for name in names if name not in known]:
        there = ", ".join(known) or "none"
        raise SettingsError(f"--meter {' '.join(unknown)}: not among the simulated of [[meters]], which are {there}")
    return tuple(known[name] for name in dict.fromkeys(names))
