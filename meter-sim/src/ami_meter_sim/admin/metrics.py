"""Counters of the process in the form of Prometheus, collected when somebody asks: counting costs the meters nothing beyond an addition."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ami_meter_sim.faults import FAULTS
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.roster import number_of
from ami_meter_sim.tap import Tap

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Collector(Collector):
    def __init__(self, fleet: Fleet, tap: Tap) -> None:
        self._fleet = fleet
        self._tap = tap

    def collect(self) -> Iterator[Metric]:
        """All of them, as they are now."""
        fleet, traffic = self._fleet, self._fleet.traffic
        yield GaugeMetricFamily("meter_sim_meters", "Meters of the process", number_of(fleet))
        yield GaugeMetricFamily("meter_sim_sessions_open", "Connections that are served now", traffic.open)
        yield CounterMetricFamily("meter_sim_sessions", "Connections that were served", traffic.sessions)
        yield CounterMetricFamily("meter_sim_frames_sent", "Frames that were sent to clients", traffic.frames_sent)
        apdus = CounterMetricFamily("meter_sim_apdus", "APDUs of connections", labels=["direction"])
        apdus.add_metric(["received"], traffic.apdus.received)
        apdus.add_metric(["sent"], traffic.apdus.sent)
        yield apdus
        octets = CounterMetricFamily("meter_sim_octets", "Octets of connections", labels=["direction"])
        octets.add_metric(["received"], traffic.octets_received)
        octets.add_metric(["sent"], traffic.octets_sent)
        yield octets
        associations = CounterMetricFamily("meter_sim_associations", "Associations", labels=["what"])
        for what in ("opened", "refused", "released"):
            associations.add_metric([what], self._tap.associations[what])
        yield associations
        yield from self._faults()
        pushes = CounterMetricFamily("meter_sim_pushes", "Pushes", labels=["transport", "result"])
        for labels, count in sorted(self._tap.pushes.items()):
            pushes.add_metric(list(labels), count)
        yield pushes

    def _faults(self) -> Iterator[Metric]:
        """A fault that is set shows before it happens."""
        faults = self._fleet.faults
        rules = GaugeMetricFamily("meter_sim_fault_rules", "Rules that are set", labels=["fault"])
        happened = CounterMetricFamily("meter_sim_faults", "How often a fault has happened", labels=["fault"])
        names = [rule.fault for _, rule in faults.rules]
        for name in dict.fromkeys((*FAULTS, *names, *faults.counts)):
            if name in names:
                rules.add_metric([name], names.count(name))
            if name in names or faults.counts[name]:
                happened.add_metric([name], faults.counts[name])
        yield from (rules, happened)


def metrics_of(fleet: Fleet, tap: Tap) -> CollectorRegistry:
    """A registry of this process alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(fleet, tap))
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """The text that Prometheus reads."""
    return generate_latest(registry)
