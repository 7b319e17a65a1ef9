"""What dispatches the work: narrow ports, and the engine of a single process behind them."""

from ami_hes.engine.embedded import EmbeddedEngine
from ami_hes.engine.ports import (
    ANSWERED,
    Answers,
    CommandDelivery,
    Commands,
    Delivery,
    Engine,
    Events,
    GroupOf,
    Jobs,
    MakeEngine,
    Meterless,
    ReplyJob,
    Stopping,
)

__all__ = [
    "ANSWERED",
    "Answers",
    "CommandDelivery",
    "Commands",
    "Delivery",
    "EmbeddedEngine",
    "Engine",
    "Events",
    "GroupOf",
    "Jobs",
    "MakeEngine",
    "Meterless",
    "ReplyJob",
    "Stopping",
]
