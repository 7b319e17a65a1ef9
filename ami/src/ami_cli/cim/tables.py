"""The tables of `ami cim`: namespaces of every set that is known by name, and the numbers of control and event types (data/*.csv)."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ami_cim import ns
from ami_cim.dialects import ALIASES

_NOUN = r"(?P<Noun>[A-Z][A-Za-z]*)"
_YEAR = r"(?P<year>20\d\d)"

NOUNS = frozenset(
    [
        "AuxiliaryAgreementConfig",
        "ComModuleConfig",
        "CustomerAccountConfig",
        "CustomerAgreementConfig",
        "CustomerConfig",
        "CustomerMeterDataSet",
        "EndDeviceConfig",
        "EndDeviceControls",
        "EndDeviceEvents",
        "EndDeviceFirmware",
        "EndDeviceGroups",
        "MasterDataLinkageConfig",
        "MeterConfig",
        "MeterReadings",
        "MeterReadSchedule",
        "MeterReadSchedules",
        "MeterServiceRequests",
        "OperationSet",
        "PricingStructureConfig",
        "ReceiptRecord",
        "ServiceCategoryConfig",
        "ServiceLocationConfig",
        "ServiceSupplierConfig",
        "TransactionRecord",
        "UsagePointConfig",
        "UsagePointGroups",
        "UsagePointLocationConfig",
    ]
)
"""Of IEC 61968-9, as public schema sets and clients generated from them have them."""
DROPPED_VERBS = frozenset({"show", "subscribe", "unsubscribe", "report", "stop", "terminate"})
"""Of drafts; edition 1 of IEC 61968-100 has them no more."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace as it came, and what is known of it; `canonical` is that of the 2011 set which says the same."""

    text: str
    kind: str
    canonical: str
    set: str
    source: str
    year: str = ""

    @property
    def is_foreign(self) -> bool:
        """Whether the 2011 set has another one for the same."""
        return self.canonical != self.text


@dataclass(frozen=True, slots=True)
class _Row:
    pattern: re.Pattern[str]
    kind: str
    canonical: str
    set: str
    source: str


def namespace_of(text: str) -> Namespace | None:
    """What is known of a namespace; None for one of no set that has a name here.

    Which one of ours means the same is the head-end's to say where it can take it (`ami_cim.dialects`); the table has the words.
    """
    ours = ALIASES.get(text)
    for row in _namespaces():
        found = row.pattern.fullmatch(text)
        if found is not None:
            parts = found.groupdict()
            canonical = ours or _filled(row.canonical, parts) or text
            return Namespace(text, row.kind, canonical, _filled(row.set, parts), row.source, parts.get("year") or "")
    return None if ours is None else _spelled(text, ours)


def _spelled(text: str, ours: str) -> Namespace:
    """Of a set that has no row: the www. of drafts with the year of another set."""
    known = namespace_of(ours)
    kind = "payload" if known is None else known.kind
    year = re.search(_YEAR, text)
    return Namespace(
        text,
        kind,
        ours,
        "a draft's www. and another year",
        "what a head-end can be set to take",
        year[0] if year else "",
    )


def known_namespaces() -> tuple[str, ...]:
    """Those without a placeholder, and those of the nouns with a schema here: what a misspelled one is compared with."""
    nouns = (ns.payload("EndDeviceControls"), ns.payload("MeterReadings"), ns.typed_message("EndDeviceControls"))
    return (*(one for one in _column("namespace") if "{" not in one), *nouns)


@cache
def end_device_numbers(part: str) -> dict[str, str]:
    """The numbers of `type` or `domain`, or the known `control` and `event` codes without their type, with their names."""
    return {row["number"]: row["name"] for row in _rows("end_device_codes.csv") if row["part"] == part}


@cache
def _namespaces() -> tuple[_Row, ...]:
    return tuple(
        _Row(_pattern(row["namespace"]), row["kind"], row["canonical"], row["set"], row["source"])
        for row in _rows("namespaces.csv")
    )


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\{Noun\}", _NOUN).replace(r"\{year\}", _YEAR), re.ASCII)


def _filled(text: str, parts: dict[str, str]) -> str:
    for name, value in parts.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _column(name: str) -> Iterator[str]:
    return (row[name] for row in _rows("namespaces.csv"))


@cache
def _rows(name: str) -> tuple[dict[str, str], ...]:
    text = files("ami_cli.cim").joinpath("data", name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines(), strict=True))
