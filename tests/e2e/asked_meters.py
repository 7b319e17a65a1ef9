"""Three-phase meters that are asked for readings, with the HES, in processes; and what the simulator says of them over its own API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from free_ports import free_port
from harness import System, system
from patience import PATIENCE_S

from ami_mapping.lookup import readings
from ami_mapping.reading_types import ReadingType
from ami_mapping.readings import Reads

START = datetime(2026, 3, 30, 4, tzinfo=UTC)
"""Six o'clock in Berlin, on the day after the one of 23 hours."""
IMPORT, EXPORT, POWER, VOLTAGE, STATE = (
    "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0",
    "0.0.0.1.19.1.12.0.0.0.0.0.0.0.0.0.72.0",
    "0.0.0.12.1.1.37.0.0.0.0.0.0.0.0.0.38.0",
    "0.0.0.12.0.1.54.0.0.0.0.0.0.0.129.0.29.0",
    "0.0.0.12.0.1.43.0.0.0.0.0.0.0.0.0.109.0",
)
QUARTERS = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
NOT_IN_METER, NOT_SERVED, NO_TYPE = (
    "0.0.0.12.0.1.4.0.0.0.0.0.0.0.16.0.5.0",
    "0.0.0.1.1.1.13.0.0.0.0.0.0.0.0.3.72.0",
    "0.0.0.1.1.1.901.0.0.0.0.0.0.0.0.3.72.0",
)
UNITS = {3: 3, 4: 3, 5: 4}
"""Class of an object -> its attribute scaler_unit."""


class Simulator:
    """What the meters say of themselves over the simulator's API."""

    def __init__(self, whole: System) -> None:
        url = f"http://127.0.0.1:{whole.config['meter_sim']['port']}/api/v1"
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S)
        token = (whole.directory / "meter_sim.tokens").read_text().strip()
        self._client.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._client.close()

    def move_to(self, moment: datetime) -> None:
        assert self._client.post("/clock", json={"to": moment.isoformat()}).status_code == 200

    def post(self, path: str, body: object) -> Any:
        answer = self._client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def delete(self, path: str) -> None:
        assert self._client.delete(path).is_success

    def objects(self, meter: str) -> list[tuple[int, str]]:
        return [(one["class"], one["instance"]) for one in self._client.get(f"/meters/{meter}/objects").json()]

    def read(self, meter: str, class_id: int, obis: str, attribute: int) -> Any:
        answer = self._client.get(f"/meters/{meter}/objects/{class_id}/{obis}/{attribute}")
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def value(self, meter: str, reading_type: str) -> Decimal:
        """In units of the ReadingType's multiplier, by the first row that the meter has an object for."""
        code = ReadingType.parse(reading_type)
        there = {(class_id, obis.partition("*")[0]) for class_id, obis in self.objects(meter)}
        for match in readings().answers(code):
            row = match.row
            found = match.descriptor() if row.context.reads is Reads.ATTRIBUTE and row.obis is not None else None
            name = str(found.instance_id).partition("*")[0] if found is not None else ""
            if found is None or (found.class_id, name) not in there:
                continue
            raw = self.read(meter, found.class_id, name, found.attribute_id)
            if found.class_id not in UNITS:
                return Decimal(int(raw))
            scaler, _ = self.read(meter, found.class_id, name, UNITS[found.class_id])
            return Decimal(raw) * Decimal(10) ** (scaler["value"] - code.multiplier)
        raise AssertionError(f"{meter} has nothing for {reading_type}")


@contextmanager
def running(directory: Path) -> Iterator[System]:
    with system(directory, meters=3) as one:
        one.config["clock"] = {"mode": "stepped", "start_at": START}
        one.config["meter_sim"]["port"] = free_port()
        for section in ("hes", "meter_sim"):
            one.config[section]["token_file"] = str(one.directory / f"{section}.tokens")
        for number, meter in enumerate(one.config["meters"]):
            meter["tags"] = {"feeder": f"F{number // 2}", "transformer": f"T{number}"}
            meter["simulated"] |= {"model": "three-phase", "time_zone_minutes": -60}
        yield one.start_together()
