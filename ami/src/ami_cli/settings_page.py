"""`ami settings`: every setting of CIS, HES and simulated meters as a page, from the models that read them (docs/settings.md)."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Sequence
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ami_cis.settings import Cis, Demo
from ami_dlms.association import Ciphering
from ami_dlms.association.vocabulary import format_ciphering, format_mechanism
from ami_dlms.enums import Mechanism
from ami_dlms.obis import Obis
from ami_hes.settings import HesSettings
from ami_hes.settings.guard import GroupLimitSettings, GuardLimitSettings, GuardSettings, SwitchingLimitSettings
from ami_hes.settings.lanes import CampaignSettings, GroupSettings, ReadSettings
from ami_hes.settings.partners import PartnerSettings, SubscriberSettings
from ami_meter_sim.population_settings import PopulationSettings, PushesSettings, SharesSettings, TopologySettings
from ami_meter_sim.settings import AssociationSettings, MeterSimSettings, OtherConsole, SimulatedSettings
from ami_process.meanings import meanings
from ami_process.message_security import MessageSecuritySettings
from ami_process.oidc import OidcSettings
from ami_process.oidc_client import OidcClientSettings
from ami_process.settings import ClockSettings
from ami_process.tls import TlsSettings
from ami_registry import FIELDS, Meter
from ami_registry.entries import NEEDED

app = typer.Typer(name="settings", add_completion=False)

SECTIONS: tuple[tuple[str, str, type[BaseModel] | type[Meter], str], ...] = (
    (
        "[clock]",
        "Which time CIS, HES and simulated meters live by. A stepped clock is moved by `POST /api/v1/clock` of each of them; sockets and their time limits stay with the machine's clock.",
        ClockSettings,
        "AMI_CLOCK__",
    ),
    ("[demo]", "The loop of the CIS.", Demo, "AMI_DEMO__"),
    (
        "[cis]",
        "The customer information system. The HES reads `host` and `reply_address`: a reply may go there.",
        Cis,
        "AMI_CIS__",
    ),
    (
        "[cis.tls]",
        "Encryption between CIS and HES ([secure-it](howto/secure-it.md)). `[hes.tls]` has the same keys, with the variables `AMI_HES__TLS__`.",
        TlsSettings,
        "AMI_CIS__TLS__",
    ),
    (
        "[cis.message_security]",
        "WS-Security of messages ([sign-messages](howto/sign-messages.md)). `[hes.message_security]` has the same keys, with the variables `AMI_HES__MESSAGE_SECURITY__`.",
        MessageSecuritySettings,
        "AMI_CIS__MESSAGE_SECURITY__",
    ),
    (
        "[cis.oidc]",
        "The issuer whose tokens are taken ([use-an-issuer](howto/use-an-issuer.md)). `[hes.oidc]` has the same keys, with the variables `AMI_HES__OIDC__`.",
        OidcSettings,
        "AMI_CIS__OIDC__",
    ),
    (
        "[cis.oidc_client]",
        "The issuer that gives the CIS its tokens for the HES; what it shows over https has to be signed by `cis.tls.authorities`, or the usual ones.",
        OidcClientSettings,
        "AMI_CIS__OIDC_CLIENT__",
    ),
    ("[hes]", "The head-end system. The CIS reads `deadline_s`, to wait longer than that.", HesSettings, "AMI_HES__"),
    (
        "[hes.lanes.read]",
        "Reading on demand. Controls go before reads, and have `hes.deadline_s`, `hes.max_pending` and all of `hes.max_sessions`.",
        ReadSettings,
        "AMI_HES__LANES__READ__",
    ),
    (
        "[hes.lanes.campaign]",
        "What can wait, as collecting by schedule; reads go before it.",
        CampaignSettings,
        "AMI_HES__LANES__CAMPAIGN__",
    ),
    (
        "[hes.guard]",
        "What a second person has to approve before it is done ([approve-mass-switching](howto/approve-mass-switching.md)).",
        GuardSettings,
        "AMI_HES__GUARD__",
    ),
    (
        "[hes.guard.disconnects]",
        "How many meters in a sliding hour need no second person; `[hes.guard.load_limits]` has the same keys and defaults. Connects have no limit.",
        SwitchingLimitSettings,
        "AMI_HES__GUARD__DISCONNECTS__",
    ),
    (
        "[hes.guard.keys]",
        "The same of keys that are changed, by commissioning too; `[hes.guard.firmware]` likewise.",
        GuardLimitSettings,
        "AMI_HES__GUARD__KEYS__",
    ),
    (
        "[[hes.guard.disconnects.groups]]",
        "A separate limit for each group of meters, counted over all principals; the same below `load_limits`, `keys` and `firmware`.",
        GroupLimitSettings,
        "",
    ),
    (
        "[[hes.groups]]",
        "A table for each tag of the registry by which meters share what is narrow, as a data concentrator; a meter is in the first that fits.",
        GroupSettings,
        "",
    ),
    (
        "[[hes.subscribers]]",
        "A table for each receiver of what is collected by schedule; its host may be posted to.",
        SubscriberSettings,
        "",
    ),
    (
        "[[hes.partners]]",
        "A table for each partner that reads or writes the standard otherwise ([connect-a-partner](howto/connect-a-partner.md)); the first that fits counts.",
        PartnerSettings,
        "",
    ),
    ("[meter_sim]", "What all simulated meters of a process share.", MeterSimSettings, "AMI_METER_SIM__"),
    (
        "[[meter_sim.consoles]]",
        "Where another process that plays meters has its console; `ami demo` writes them.",
        OtherConsole,
        "",
    ),
    (
        "[[meters]]",
        "A table for each meter, real or simulated. The CIS reads the first three keys alone, and three that are for it alone: `latitude` and `longitude` of the usage point in degrees of WGS 84, and `main_address`, a text of up to 200 characters ([the map](howto/use-the-console.md#the-map)).",
        Meter,
        "",
    ),
    (
        "[[populations]]",
        "A table for each population: simulated meters in great number, each with keys and names of its own, which follow from the seed.",
        PopulationSettings,
        "",
    ),
    (
        "[populations.push]",
        "Where and when its meters push: filled into the push setups (class 40) of its model, where a client reads it and may write something else.",
        PushesSettings,
        "",
    ),
    (
        "[populations.topology]",
        "The network that a population fills from its first substation on.",
        TopologySettings,
        "",
    ),
    (
        "[populations.shares]",
        "What is behind the meters of a population; only the ratios count.",
        SharesSettings,
        "",
    ),
    (
        "[meters.simulated]",
        "How a simulated meter behaves; a meter without it is a real one. Faults, with examples: [inject-faults](howto/inject-faults.md), and all keys of `[[faults]]`: [faults](faults.md).",
        SimulatedSettings,
        "",
    ),
    (
        "[[meters.simulated.associations]]",
        "A table for each association of the model that the meter offers beside the public and the management one.",
        AssociationSettings,
        "",
    ),
)
INTRODUCTION = """\
# Settings

All processes read one TOML file, [config/demo.toml](../config/demo.toml) unless `--config` names another, each its own sections.
Paths are relative to the working directory. The environment wins over the file: the variable is the prefix of the section and
the key in capitals, so `AMI_HES__PORT=9081` sets `[hes] port`; `AMI_METERS=20` takes the first 20 of `[[meters]]`. An unknown key
is refused. This page is written by `ami settings --write docs/settings.md`, from the models that read the file.
"""
WORDS = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    AwareDatetime: "date and time with its zone",
    bytes: "hex",
    IPv4Network: "network",
    IPv6Network: "network",
}
BOUNDS = (("ge", "from"), ("gt", "above"), ("le", "to"))


@app.command("settings")
def settings(
    write: Annotated[Path | None, typer.Option(help="Write the page here, not to the screen.")] = None,
) -> None:
    """List every setting of the configuration file, with its type, default and meaning."""
    if write is None:
        typer.echo(page(), nl=False)
    else:
        write.write_text(page(), "utf-8")


def page() -> str:
    """The page in Markdown."""
    return INTRODUCTION + "".join(_section(*section) for section in SECTIONS)


def _section(title: str, about: str, model: type[BaseModel] | type[Meter], prefix: str) -> str:
    environment = f" In the environment: `{prefix}*`." if prefix else ""
    rows = "".join(_rows(model) if issubclass(model, BaseModel) else _rows_of_an_entry())
    return f"\n## `{title}`\n\n{about}{environment}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}"


def _rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if not _is_section(field):
            yield _row(name, field, field.description or meanings(model).get(name, ""))


def _rows_of_an_entry() -> Iterator[str]:
    defaults = {field.name: _default_of(field) for field in dataclasses.fields(Meter)}
    for field in FIELDS:
        default = defaults[field.name]
        shown = "required" if field.name in NEEDED else _quoted(_word(default))
        yield f"| `{field.name}` | {field.value} | {shown} | {_sentence(field.meaning)} |\n"


def _default_of(field: dataclasses.Field[Any]) -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _word(value: object) -> object:
    """As it is written in the file."""
    match value:
        case Mechanism():
            return format_mechanism(value)
        case Ciphering():
            return format_ciphering(value)
        case Obis():
            return str(value)
    return value


def _is_section(field: FieldInfo) -> bool:
    inner = get_args(field.annotation) or (field.annotation,)
    return any(isinstance(one, type) and issubclass(one, BaseModel) for one in inner)


def _row(name: str, field: FieldInfo, meaning: str) -> str:
    kinds = " or ".join(dict.fromkeys(_kinds(field.annotation)))
    bounds = " ".join(
        f"{word} {getattr(one, key)}" for key, word in BOUNDS for one in field.metadata if hasattr(one, key)
    )
    if name.endswith("_s"):
        kinds = kinds.replace("number", "seconds")
    elif name.endswith("_days"):
        kinds = kinds.replace("number", "days")
    value = f"{kinds}, {bounds}" if bounds else kinds
    return f"| `{name}` | {value} | {_default(field)} | {_sentence(meaning)} |\n"


def _kinds(annotation: Any) -> Iterator[str]:
    """The words for what a value may be; what means an absent key is left out."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _kinds(one)
    elif origin is Literal:
        yield from _choices(get_args(annotation))
    elif origin is dict:
        yield f"table of text to {' or '.join(_kinds(get_args(annotation)[1]))}"
    elif origin is tuple:
        yield f"list of {'s or '.join(dict.fromkeys(_kinds(get_args(annotation)[0])))}s"
    elif isinstance(annotation, type) and issubclass(annotation, StrEnum):
        yield from (f"`{member}`" for member in annotation)
    elif annotation is not type(None):
        yield WORDS[annotation]


def _choices(values: Sequence[Any]) -> Iterator[str]:
    yield from (f"`{_toml(value)}`" for value in values)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return _quoted(None if field.default is PydanticUndefined else field.default)


def _quoted(value: Any) -> str:
    return "" if value in (None, "") else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    """The value as it is written in the file; a text without its quotation marks."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{one}"' for one in value) + "]"
    return str(value)


def _sentence(text: str) -> str:
    text = " ".join(text.split()).rstrip(".").replace("|", "\\|")
    return text[:1].upper() + text[1:]
