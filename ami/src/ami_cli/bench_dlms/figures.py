"""All that one run found, and what it means: each figure as a ratio, beside the ratio that is to be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ami_cli.bench_dlms.in_memory import SIZES, Allocations, Sessions
from ami_cli.bench_dlms.round_trips import RoundTrips

DECODERS = {"generic": 4.0, "columnar": 40.0}
COMPARED = (
    ("protect", "bare encrypt"),
    ("unprotect", "bare decrypt, tag of 12 octets"),
    ("unprotect", "bare decrypt, tag of 16 octets"),
)
MAX_OF_BARE = 2.5
MIN_OF_ECHO, MIN_OF_DLMS_COSEM, MIN_OF_GURUX = 0.5, 4.0, 50.0
MIN_SESSIONS = 1000.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure against another; `at_least` says on which side of the target it should be."""

    name: str
    value: float
    target: float
    at_least: bool = True

    @property
    def reached(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians: round trips, seconds of decoders by name, seconds of protections by name and size, and the rest."""

    round_trips: tuple[RoundTrips, ...]
    decoding_s: dict[str, float]
    protecting_s: dict[str, dict[int, float]]
    sessions: Sessions
    allocations: Allocations

    def ratios(self) -> list[Ratio]:
        """What the figures come to, as far as the contenders were there."""
        return [*self._round_trips(), *self._decoding(), *self._protecting(), *self._sessions()]

    def _round_trips(self) -> Iterator[Ratio]:
        rates = {(one.contender.name, one.contender.driver): one.per_second for one in self.round_trips}
        costs = {(one.contender.name, one.contender.driver): one.asking_us for one in self.round_trips}
        for driver in ("asyncio", "selectors"):
            ours = rates["dlms", driver]
            yield Ratio(f"round trips over {driver} / asyncio echo", ours / rates["echo", "asyncio"], MIN_OF_ECHO)
            if foreign := rates.get(("dlms-cosem", driver)):
                yield Ratio(f"round trips over {driver} / dlms-cosem over {driver}", ours / foreign, MIN_OF_DLMS_COSEM)
                cost = costs["dlms-cosem", driver] / costs["dlms", driver]
                yield Ratio(f"CPU of the asking end over {driver}: dlms-cosem / dlms", cost, MIN_OF_DLMS_COSEM)
            if foreign := rates.get(("gurux", "selectors")):
                yield Ratio(f"round trips over {driver} / gurux, one connection", ours / foreign, MIN_OF_GURUX)

    def _decoding(self) -> Iterator[Ratio]:
        for road, target in DECODERS.items():
            if foreign := self.decoding_s.get("dlms-cosem"):
                yield Ratio(f"dlms-cosem / profile decode, {road}", foreign / self.decoding_s[road], target)

    def _protecting(self) -> Iterator[Ratio]:
        for ours, bare in COMPARED:
            for size in SIZES:
                value = self.protecting_s[ours][size] / self.protecting_s[bare][size]
                yield Ratio(f"{ours} {size:,} octets / {bare}", value, MAX_OF_BARE, at_least=False)

    def _sessions(self) -> Iterator[Ratio]:
        for end, seconds in (("client", self.sessions.client_s), ("server", self.sessions.server_s)):
            yield Ratio(f"sessions/s of the {end} on one core", 1 / seconds, MIN_SESSIONS)
