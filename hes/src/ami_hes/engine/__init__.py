"""What dispatches the work: narrow ports, and the engine of a single process behind them."""

from ami_hes.engine.embedded import EmbeddedEngine
from ami_hes.engine.ports import (
    ANSWERED,
    Answers,
    Delivery,
    Engine,
    Events,
    Jobs,
    MakeEngine,
    ReplyJob,
    Stopping,
)

__all__ = [
    "ANSWERED",
    "Answers",
    "Delivery",
    "EmbeddedEngine",
    "Engine",
    "Events",
    "Jobs",
    "MakeEngine",
    "ReplyJob",
    "Stopping",
]
