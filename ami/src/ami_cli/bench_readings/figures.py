"""What was measured, as plain values."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One request: seconds until its answer, and seconds of CPU of the two processes."""

    seconds: float
    hes_cpu_s: float
    simulator_cpu_s: float


@dataclass(frozen=True, slots=True)
class Rate:
    """What was asked of how many meters, in each counted run."""

    name: str
    meters: int
    runs: tuple[Run, ...]

    @property
    def per_second(self) -> float:
        """Meters, in the median run."""
        return self.meters / statistics.median(run.seconds for run in self.runs)

    @property
    def hes_ms(self) -> float:
        """CPU of the HES per meter, in milliseconds."""
        return 1000 * statistics.median(run.hes_cpu_s for run in self.runs) / self.meters

    @property
    def simulator_ms(self) -> float:
        """The same of the simulator."""
        return 1000 * statistics.median(run.simulator_cpu_s for run in self.runs) / self.meters


@dataclass(frozen=True, slots=True)
class Memory:
    """What the HES's process has resident, in octets."""

    name: str
    meters: int
    octets: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """Two ways of doing the same in one run: the median of how many times as long as the other the first one takes."""

    name: str
    other: str
    times: float


@dataclass(frozen=True, slots=True)
class ReadingFigures:
    """All of it. `rates` begins with what the others are compared with."""

    rates: tuple[Rate, ...]
    urgent_s: tuple[float, ...]
    memory: tuple[Memory, ...]
    ratios: tuple[Ratio, ...]
