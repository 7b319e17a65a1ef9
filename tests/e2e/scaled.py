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

chosen = False
"""Whether the option was given."""
servers: list[tuple[Cluster, Broker]] = []


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
        """The same configuration on them."""
        config = deepcopy(config)
        config["hes"] |= self.settings
        return config
