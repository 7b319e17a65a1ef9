"""Populations of meters in a demo: added where many meters are wanted, and shipped to its HES and CIS.

The simulator makes their meters from the table alone. What the HES and the CIS have to know of them is written into two shipment
files beside the demo's configuration. `ami_meter_sim` is loaded only where there is a population.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ami_process.settings import SettingsError

Document = dict[str, Any]
WILDCARD = "0.0.0.0"  # noqa: S104 - looked at, not bound: the simulator hangs up beyond its addresses
FIRST_ADDRESS = "127.1.0.0"
DEADLINE_S = 30.0
SLOWEST_METERS_PER_S = 40
"""On a busy machine; one request names all meters of a demo."""


class ConfigurationError(Exception):
    """The configuration cannot be used; the text says where and why."""


def add(document: Document, count: int, port: int) -> None:
    """A population of this number of meters, each with an address of its own at this port."""
    seconds = count / SLOWEST_METERS_PER_S
    document["hes"]["deadline_s"] = max(document["hes"].get("deadline_s", DEADLINE_S), seconds)
    document["cis"]["request_timeout_s"] = max(document["cis"].get("request_timeout_s", 2 * DEADLINE_S), 2 * seconds)
    document["populations"] = [
        {"name": "demo", "count": count, "seed": "demo", "address": FIRST_ADDRESS, "port": port, "model": "residential"}
    ]


def resize(document: Document, count: int) -> None:
    """Let the last population have as many meters as are missing."""
    *others, last = document["populations"]
    fixed = len(document["meters"]) + sum(one["count"] for one in others)
    if count <= fixed:
        raise ConfigurationError(
            f"{count} meters are wanted, and there are {fixed} beside the last population, {last['name']}: take another file"
        )
    last["count"] = count - fixed


def move(document: Document, port: int) -> None:
    """Place them at this port and the next ones."""
    for number, one in enumerate(document.get("populations", ())):
        one["port"] = port + number


def unprotect(document: Document) -> None:
    """No authentication and no ciphering."""
    for one in document.get("populations", ()):
        one |= {"authentication": "none", "ciphering": "none"}


def host_of(population: Document) -> str:
    """What its socket is bound to."""
    each = population.get("addressing", "address-each") == "address-each"
    host: str = population.get("address", FIRST_ADDRESS)
    return ("::" if ":" in host else WILDCARD) if each else host


def names(document: Document) -> list[str]:
    """Of the populations."""
    return [one["name"] for one in document.get("populations", ())]


def meter_names(document: Document) -> Iterator[str]:
    """Of all their meters."""
    if not document.get("populations"):
        return
    for one in _prepared(document):
        identities = one.population.identities
        yield from map(identities.name, range(identities.count))


def ship(document: Document, directory: Path) -> None:
    """Write shipment files into this directory, and let HES and CIS read them."""
    if not document.get("populations"):
        return
    from ami_meter_sim.population.shipment import Form, Receiver
    from ami_meter_sim.shipping import ship as ship_populations

    for section, receiver in (("hes", Receiver.HES), ("cis", Receiver.CIS)):
        path = directory / f"shipment-{receiver}.json"
        ship_populations(_settings(document), (), receiver, Form.JSON, reference=None, path=path)
        document[section] |= {"shipments": [str(path)]}


def _prepared(document: Document) -> list[Any]:
    from ami_meter_sim.populating import prepare

    try:
        return list(prepare(_settings(document)))
    except SettingsError as error:
        raise ConfigurationError(str(error)) from None


def _settings(document: Document) -> list[Any]:
    from pydantic import ValidationError

    from ami_meter_sim.population_settings import PopulationSettings

    try:
        return [PopulationSettings.model_validate(one) for one in document["populations"]]
    except ValidationError as error:
        problem = error.errors()[0]
        raise ConfigurationError(f"populations: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
