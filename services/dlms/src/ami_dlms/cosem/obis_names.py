"""What an OBIS code stands for, in words (IEC 62056-6-1), read once from obis_names.toml beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ami_dlms.cosem.tables import table
from ami_dlms.obis import Obis

ELECTRICITY = 1
PHASES = {1: "L1", 2: "L2", 3: "L3"}
CODES_A_PHASE = 20
TIME_INTEGRALS = frozenset((8, 9, 10, 29, 30))
WITH_RATES = frozenset((*range(7), *TIME_INTEGRALS))
CURRENT = 255


@cache
def _objects() -> Mapping[tuple[str, ...], str]:
    return {_groups(pattern): name for pattern, name in table("obis_names")["objects"].items()}


def _groups(text: str) -> tuple[str, ...]:
    for separator in "-:.":
        text = text.replace(separator, " ")
    groups, _, last = text.rpartition("*")
    return (*groups.split(), last)


def describe(obis: Obis) -> str:
    """The name of the object or quantity, or the medium alone; empty when nothing is known."""
    if name := _object_name(obis):
        return name
    if obis[0] == ELECTRICITY:
        return _quantity(obis)
    medium = table("obis_names")["media"].get(str(obis[0]), "")
    return _with_channel(medium, obis[1]) if medium and obis[0] else ""


def _object_name(obis: Obis) -> str:
    a, b, c, d, e, f = (str(group) for group in obis)
    for channel in (b, "*"):
        for number in (e, "n"):
            if name := _objects().get((a, channel, c, d, number, f)):
                words = [e if number == "n" and word == "n" else word for word in name.split(" ")]
                return _with_channel(" ".join(words), obis[1] if channel == "*" else 0)
    return ""


def _quantity(obis: Obis) -> str:
    _, b, c, d, e, f = obis
    known = table("obis_names")["electricity"]
    phase, code = (c - 1) // CODES_A_PHASE, (c - 1) % CODES_A_PHASE + 1
    name = known["quantities"].get(str(c)) or (known["quantities"].get(str(code)) if phase in PHASES else None)
    process = known["processing"].get(str(d))
    if name is None or process is None:
        return ""
    for power, energy in known["energies"].items():
        if d in TIME_INTEGRALS and name.startswith(power):
            name = energy + name.removeprefix(power)
    words = [name, PHASES.get(phase, ""), process]
    words.append("" if e == 0 else f"rate {e}" if d in WITH_RATES else f"E {e}")
    words.append("" if f == CURRENT else f"billing period {f}")
    return _with_channel(", ".join(word for word in words if word), b)


def _with_channel(name: str, channel: int) -> str:
    return f"{name}, channel {channel}" if channel else name
