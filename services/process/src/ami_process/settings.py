"""Settings: one TOML file that all processes share, with environment variables above it.

`AMI_HES__PORT=9081` overrides `[hes] port`; `AMI_METERS=20` takes the first 20 of `[[meters]]`. Each process has models of
its own for the sections that it reads, and refuses unknown keys in them, because a misspelt key that is silently ignored is
worse than a refusal. No message of this module ever holds a value, which may be a key.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable

from ami_process.meanings import Documented
from ami_process.toml_texts import line_of, parse_toml

SECTIONS = frozenset({"clock", "demo", "cis", "hes", "populations", "meter_sim", "meters", "faults"})
"""Every section that the file may have, whichever process reads it."""


class SettingsError(Exception):
    """The configuration can't be used; the text says where and what to change, and never holds a secret."""


def _store(value: object) -> object:
    """No message of this function holds a part of the value, which may have a password in it all the same."""
    if not isinstance(value, str) or "://" not in value:
        return Path(value) if isinstance(value, str) else value
    try:
        parts = urlsplit(value)
        known = parts.scheme == "postgresql" and parts.port != 0
    except ValueError:
        known = False
    if not known or not parts.path.strip("/"):
        raise ValueError("expected a path, or postgresql://USER@HOST/DATABASE")
    if parts.password is not None or any("password" in name for name, _ in parse_qsl(parts.query)):
        raise ValueError("a password in it could be read in logs: set store_password to env:NAME or file:PATH")
    return value


Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
StoreLocation = Annotated[Path | str, BeforeValidator(_store)]
"""The path of a file, or a URL postgresql://, which is a text."""


class Section(Documented):
    """One table of the file; the docstrings of its fields are the settings page."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ClockMode(StrEnum):
    """Which clock a process lives by."""

    REAL = "real"
    SCALED = "scaled"
    STEPPED = "stepped"


class ClockSettings(Section):
    """`[clock]`: the time that all processes live by; sockets and their time limits stay with the machine's."""

    mode: ClockMode = ClockMode.REAL
    """The machine's clock; one that is `rate` times as fast; or one that stops until `/api/v1/clock` moves it."""
    start_at: AwareDatetime | None = None
    """The moment that a stepped clock shows at first; for a scaled one, the moment at which it agreed with the machine's."""
    rate: float = Field(default=60.0, gt=0, le=100_000, allow_inf_nan=False)
    """How many times as fast a scaled clock is."""

    @model_validator(mode="after")
    def _knows_its_start(self) -> Self:
        if self.mode is not ClockMode.REAL and self.start_at is None:
            raise ValueError(f'mode = "{self.mode}" needs start_at, such as 2026-01-01T00:00:00Z')
        return self

    @field_validator("start_at")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return None if value is None else value.astimezone(UTC)


class _Environment(EnvSettingsSource):
    """The environment but for AMI_METERS, which is a number and no list."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        if field_name == "meters":
            return None, field_name, False
        return super().get_field_value(field, field_name)


class FileSettings(BaseSettings):
    """What a process reads of the file; with AMI_METERS=20 `meters` has the first 20."""

    model_config = SettingsConfigDict(
        env_prefix="AMI_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    clock: ClockSettings = ClockSettings()

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

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file and the environment. Raises SettingsError with a line per problem."""
        try:
            text = path.read_text("utf-8")
            content = parse_toml(text)
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}") from None
        except ValueError as error:
            raise SettingsError(f"{path} is not TOML: {error}") from None
        check_sections(path, content)
        content["meters"] = _first(content.get("meters", []), os.environ.get("AMI_METERS", ""))
        try:
            return cls(**{name: value for name, value in content.items() if name in cls.model_fields})
        except ValidationError as error:
            raise SettingsError("\n".join(_problems(path, text, error))) from None
        except UnreadableVariable as error:
            raise SettingsError(f"environment: {error}") from None


def check_sections(path: Path, content: Mapping[str, Any]) -> None:
    """SettingsError for a section that no process reads: it is a misspelt one."""
    if unknown := sorted(content.keys() - SECTIONS):
        raise SettingsError(f"{path}: unknown section or key {unknown[0]!r}; known are {', '.join(sorted(SECTIONS))}")


def _problems(path: Path, text: str, error: ValidationError) -> list[str]:
    """One line per problem: where it is and what is wrong, without the value."""
    return [
        f"{_where(path, text, one['loc'])}: {'.'.join(map(str, one['loc'])) or 'file'}: {_what(one)}"
        for one in error.errors()
    ]


def _where(path: Path, text: str, place: tuple[str | int, ...]) -> str:
    """The file with the line, which a value of the environment does not have."""
    if f"AMI_{'__'.join(map(str, place))}".upper() in os.environ:
        return f"{path} and the environment"
    line = line_of(text, place)
    return str(path) if line is None else f"{path}, line {line}"


def _what(problem: ErrorDetails) -> str:
    return "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, ")


def _first(meters: Any, number: str) -> Any:
    """The first meters up to this number, all where none is given."""
    if not number or not isinstance(meters, list):
        return meters
    if not (number.isascii() and number.isdecimal()):
        raise SettingsError(f"AMI_METERS: a number of meters is wanted, not {number[:20]!r}")
    if len(number) > 9 or int(number) > len(meters):
        raise SettingsError(f"AMI_METERS asks for {number[:20]} meters, [[meters]] holds {len(meters)}")
    return meters[: int(number)]
