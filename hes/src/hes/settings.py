"""The HES's settings: one TOML file that all processes share, with environment variables above it.

`AMI_HES__PORT=9081` overrides `[hes] port`; `AMI_METERS=20` takes the first 20 of `[[meters]]`. Unknown keys are refused,
because a misspelt key that is silently ignored is worse than a refusal. Keys are given as hex, `env:NAME` or `file:PATH`.
Relative paths are relative to the working directory. No message of this module ever holds a key.
"""

import os
import tomllib
from collections import Counter
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

DIALS_IN = "dials-in"
LOCAL_NETWORKS = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")


class SettingsError(Exception):
    """The configuration can't be used; the text says what to change and never holds a secret."""


class Authentication(StrEnum):
    """How the HES proves itself to a meter."""

    NONE = "none"
    LLS = "lls"
    HLS_GMAC = "hls-gmac"


class Ciphering(StrEnum):
    """Which ciphered APDUs carry the services."""

    GENERAL_GLO = "general-glo"
    SERVICE_SPECIFIC = "service-specific"


def _octets(value: object) -> object:
    """Turn hex, `env:NAME` or `file:PATH` into octets."""
    if not isinstance(value, str):
        return value
    source, _, rest = value.partition(":")
    if source == "env":
        if rest not in os.environ:
            raise ValueError(f"the environment variable {rest} is not set")
        value = os.environ[rest]
    elif source == "file":
        value = _file_text(rest)
    try:
        return bytes.fromhex(value.strip())
    except ValueError:
        raise ValueError("expected hex digits, env:NAME or file:PATH") from None


def _file_text(path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file {path} can't be read as hex digits ({type(error).__name__})") from None


Octets = Annotated[bytes, BeforeValidator(_octets)]
Port = Annotated[int, Field(ge=0, le=65535)]
Wport = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class HesSettings(_Section):
    """`[hes]`: where it listens, how long it waits, how much it does at once."""

    host: str = "127.0.0.1"
    port: Port = 8081
    dlms_host: str = "127.0.0.1"
    dlms_port: Port = 4059
    system_title: Octets = bytes.fromhex("414D490000000001")
    store: Path = Path("var/hes.sqlite")
    deadline_s: Seconds = 30.0
    apdu_timeout_s: Seconds = 5.0
    max_sessions: int = Field(default=100, ge=1)
    log_apdus: bool = False
    source: str = Field(default="HES", description="Header.Source of what the HES sends")
    max_request_octets: int = Field(default=5_000_000, ge=1_000)
    max_meters_per_request: int = Field(default=10_000, ge=1)
    max_pending: int = Field(default=100_000, ge=1, description="accepted commands that still wait or run")
    reply_networks: tuple[IPv4Network | IPv6Network, ...] = Field(default=LOCAL_NETWORKS, validate_default=True)
    reply_hosts: tuple[str, ...] = ()
    reply_timeout_s: Seconds = 10.0
    reply_retry_first_s: Seconds = 0.5
    reply_retry_most_s: Seconds = 60.0
    keep_answers_days: float = Field(default=30.0, gt=0, description="how long a MessageID is remembered")

    @field_validator("system_title")
    @classmethod
    def _eight_octets(cls, value: bytes) -> bytes:
        return _system_title(value)


class CisAddress(BaseModel):
    """`[cis]` as far as the HES cares: where its replies may go."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    host: str | None = None
    reply_address: str | None = None


class MeterSettings(_Section):
    """One `[[meters]]` table: who the meter is, where it is, how it is spoken to. Keys never show in a repr."""

    name: str = Field(min_length=1)
    mrid: str = Field(min_length=1)
    usage_points: tuple[str, ...] = ()
    address: str
    client_wport: Wport = 1
    server_wport: Wport = 1
    authentication: Authentication = Authentication.HLS_GMAC
    suite: int = Field(default=0, ge=0, le=2)
    ciphering: Ciphering = Ciphering.GENERAL_GLO
    encryption_key: Octets | None = Field(default=None, repr=False)
    authentication_key: Octets | None = Field(default=None, repr=False)
    secret: Octets | None = Field(default=None, repr=False)
    system_title: Octets | None = None
    logical_device_name: str | None = Field(default=None, max_length=16)
    device_id: str | None = None
    simulated: dict[str, Any] = Field(default={}, repr=False, description="the simulator's own; the HES doesn't look")

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port to connect to; None for a meter that dials in."""
        if self.address == DIALS_IN:
            return None
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)

    @field_validator("address")
    @classmethod
    def _address_is_complete(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value != DIALS_IN and not (host and port.isdecimal() and 0 < int(port) <= 65535):
            raise ValueError(f'expected "host:port" or "{DIALS_IN}"')
        return value

    @field_validator("system_title")
    @classmethod
    def _eight_octets(cls, value: bytes | None) -> bytes | None:
        return value if value is None else _system_title(value)

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if self.authentication is Authentication.LLS and self.secret is None:
            raise ValueError('authentication = "lls" needs a secret')
        if self.authentication is Authentication.HLS_GMAC and None in (self.encryption_key, self.authentication_key):
            raise ValueError('authentication = "hls-gmac" needs an encryption_key and an authentication_key')
        length = 32 if self.suite == 2 else 16
        for key in ("encryption_key", "authentication_key"):
            value = getattr(self, key)
            if value is not None and len(value) != length:
                raise ValueError(f"{key} needs {length} octets for security suite {self.suite}")
        return self


def _system_title(value: bytes) -> bytes:
    if len(value) != 8:
        raise ValueError("a system title has 8 octets")
    return value


class _Environment(EnvSettingsSource):
    """The environment; a bare number in AMI_METERS means how many of the file's meters take part."""

    def __call__(self) -> dict[str, Any]:
        values = super().__call__()
        if isinstance(values.get("meters"), int):
            values["meter_count"] = values.pop("meters")
        return values


class Settings(BaseSettings):
    """All that the HES knows from outside."""

    model_config = SettingsConfigDict(
        env_prefix="AMI_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    hes: HesSettings = HesSettings()
    cis: CisAddress = CisAddress()
    meters: tuple[MeterSettings, ...] = ()
    meter_count: int | None = Field(default=None, ge=0)
    demo: dict[str, Any] = Field(default={}, repr=False)
    meter_sim: dict[str, Any] = Field(default={}, repr=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        return (_Environment(settings_cls), init_settings)

    @model_validator(mode="after")
    def _meters_are_distinct(self) -> Self:
        everyone = [("name", m.name) for m in self.meters] + [("mrid", m.mrid.lower()) for m in self.meters]
        everyone += [("usage point", point) for m in self.meters for point in m.usage_points]
        for (kind, value), count in Counter(everyone).items():
            if count > 1:
                raise ValueError(f"the {kind} {value} stands in more than one of [[meters]]")
        if self.meter_count is not None and self.meter_count > len(self.meters):
            raise ValueError(f"AMI_METERS asks for {self.meter_count} meters, [[meters]] holds {len(self.meters)}")
        return self

    @property
    def active_meters(self) -> tuple[MeterSettings, ...]:
        """The meters that take part."""
        return self.meters[: self.meter_count]


def load_settings(path: Path) -> Settings:
    """Read the file and the environment. Raises SettingsError with a text for a person."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    try:
        return Settings(**content)
    except ValidationError as error:
        raise SettingsError("\n".join(_problems(path, error))) from None


def _problems(path: Path, error: ValidationError) -> list[str]:
    """One line a problem: where it is and what is wrong, without the value (it may be a key)."""
    return [f"{path}: {'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()]
