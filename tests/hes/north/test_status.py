"""What a process without clients says of itself over HTTP: health for everybody, metrics for who has a token, and the truth when NATS is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from nats_server import Broker, broker
from north_bench import settings
from patience import PATIENCE_S
from postgresql_server import Cluster
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from reported import Reported

from ami_hes.api.metric_families import ALL
from ami_hes.app import front_end, listener, worker
from ami_process.environment import Environment

pytestmark = [pytest.mark.needs("nats"), pytest.mark.needs("postgresql")]


@pytest.fixture
def own() -> Iterator[Broker]:
    """A server that the test may stop."""
    with broker() as one:
        yield one


async def test_a_worker_says_how_it_is_and_lets_in_who_may_read(
    tmp_path: Path, postgresql: Cluster, own: Broker
) -> None:
    file = tmp_path / "tokens"
    store = postgresql.url(postgresql.new_schema())
    wanted = settings(tmp_path, store=store, engine=f"{own.server}/t", status_port=0, token_file=file)
    async with (
        worker.opened(wanted, Environment(emit=Reported())) as ready,
        httpx.AsyncClient(base_url=f"http://{ready.listen[0]}", timeout=PATIENCE_S, trust_env=False) as client,
    ):
        bearer = {"Authorization": f"Bearer {file.read_text().strip()}"}

        async def metrics() -> tuple[set[str], dict[str, float]]:
            families = list(text_string_to_metric_families((await client.get("/metrics", headers=bearer)).text))
            samples = [one for family in families for one in family.samples]
            there = {one.name for one in families if one.name.startswith("hes_")}
            return there, {f"{one.name}{sorted(one.labels.values())}": one.value for one in samples}

        for path in ("/healthz", "/readyz"):
            assert (await client.get(path)).json() == {"status": "ok"}
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/api/v1/meters", headers=bearer)).status_code == 404
        there, said = await metrics()
        assert there == {one.name for one in ALL if one.everywhere}
        assert (said["hes_process['worker']"], said["hes_lane_depth['read']"], said["hes_engine_up[]"]) == (1, 0, 1)
        own.stop()
        ready_now = await client.get("/readyz")
        while ready_now.status_code == 200:  # what was found a moment ago is said again
            ready_now = await client.get("/readyz")
        assert list(ready_now.json()["failed"]) == ["engine"]
        assert (await client.get("/healthz")).status_code == 200, "it is no fault that a new start would mend"
        there, said = await metrics()
        assert (said["hes_engine_up[]"], "hes_lane_depth['read']" in said) == (0, False)


async def test_a_listener_has_what_meters_push_as_well_and_a_front_end_that_works_no_meter_has_no_places(
    tmp_path: Path, postgresql: Cluster, nats: Broker
) -> None:
    store = postgresql.url(postgresql.new_schema())
    wanted = settings(tmp_path, store=store, engine=f"{nats.server}/{uuid4().hex}", status_port=0, listen=False)
    environment = Environment(emit=Reported())
    async with (
        front_end.opened(wanted, environment) as front,
        listener.opened(wanted, environment) as ready,
        httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client,
    ):
        dlms, status = ready.listen
        assert dlms != status
        for path in ("/healthz", "/readyz"):
            assert (await client.get(f"http://{status}{path}")).json() == {"status": "ok"}
        of_listener, of_front = [
            list(text_string_to_metric_families((await client.get(f"http://{address}/metrics")).text))
            for address in (status, front.listen[0])
        ]
        assert {one.name for one in of_listener if one.name.startswith("hes_")} == {
            one.name for one in ALL if one.everywhere or one.listening
        }
        read = {"lane": "read"}
        assert _value(of_listener, "hes_process", {"role": "listener"}) == 1
        assert _value(of_listener, "hes_lane_places", read) > 0
        assert _value(of_front, "hes_lane_places", read) == 0


def _value(families: list[Metric], name: str, labels: dict[str, str]) -> float:
    (value,) = [one.value for family in families for one in family.samples if (one.name, one.labels) == (name, labels)]
    return value
