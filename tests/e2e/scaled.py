"""The whole system on the engine of many processes, for tests that start it: `make test ARGS='tests/e2e/test_truth.py --engine nats'`.

The configuration that a test has written gets a database and NATS before a head-end reads it; a head-end is a front end, beside which a worker is started once it
is ready. What either of them says is said by the one process that the test knows, and both are stopped, and killed, together.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from nats_server import Broker
from postgresql_server import Cluster

_FILE = "looks into the file of the store, changes it or puts it back"
_CLOCK = "moves clocks, and a worker has no API by which its own could be moved"
_OWN = "starts the processes of that engine itself"
NOT_THERE = {
    "test_brought_back.py": _FILE,
    "test_daily_profile.py": _CLOCK,
    "test_front_ends.py": _OWN,
    "test_health.py::test_a_full_disk_is_told[hes]": _FILE,
    "test_health.py::test_a_locked_store_is_told[hes]": _FILE,
    "test_kills.py": _FILE,
    "test_listeners.py": _OWN,
    "test_lost_streams.py": _OWN,
    "test_older_stores.py": "begins with files that older versions have left",
    "test_one_clock.py::test_a_day_passes_over_three_processes": _CLOCK,
    "test_output.py": "starts a head-end whose output nobody reads, and no worker beside it",
    "test_readings.py::test_reads_before_and_after_a_disconnect_and_a_connect": _CLOCK,
    "test_schedules.py::test_two_days_one_of_23_hours_and_a_meter_that_was_silent_on_the_first": _CLOCK,
    "test_store_faults.py": _FILE,
    "test_telemetry.py::test_one_trace_from_the_message_to_the_meter_and_back[True]": _OWN,
    "test_workers.py": _OWN,
}
"""Tests, by the beginning of their ids in this folder, that can't be run so, and why."""
chosen = False
"""Whether the option was given."""
servers: list[tuple[Cluster, Broker]] = []


def why_not(nodeid: str) -> str | None:
    """Why this test can't be run on that engine; None where it can."""
    own = nodeid.rpartition("tests/e2e/")[2]
    return next((why for begin, why in NOT_THERE.items() if own.startswith(begin)), None)


@dataclass
class Scaled:
    """What one system has of the servers; its store and its streams outlive its processes."""

    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ((postgresql, nats),) = servers
        self.settings = {
            "store": postgresql.url(postgresql.new_schema()),
            "engine": f"{nats.server}/{nats.new_system()}",
        }

    def apply(self, config: dict[str, Any]) -> dict[str, Any]:
        """The same configuration on them; a database that a test has chosen stays its own."""
        config = deepcopy(config)
        config["hes"] |= self.settings | ({"store": own} if "://" in (own := config["hes"]["store"]) else {})
        return config
