"""All that comes from outside of the program, as one value: hand in another one and a run is deterministic."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


class Emit(Protocol):
    """Tells the world what happened, e.g. structlog's `logger.info`."""

    def __call__(self, event: str, /, **fields: object) -> object: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time, chance, and where to tell."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    new_uuid: Callable[[], UUID]
    emit: Emit
