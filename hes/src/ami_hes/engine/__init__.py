"""What dispatches the work: narrow ports, and the engine of a single process behind them."""

from ami_hes.engine.charge import Charge, Term
from ami_hes.engine.embedded import EmbeddedEngine
from ami_hes.engine.hints import Hints
from ami_hes.engine.ports import (
    ANSWERED,
    LOST,
    Answers,
    CommandDelivery,
    Commands,
    Delivery,
    Engine,
    Events,
    GroupOf,
    Jobs,
    LaneCounts,
    MakeEngine,
    Meterless,
    ReplyJob,
    Stopping,
)

__all__ = [
    "ANSWERED",
    "LOST",
    "Answers",
    "Charge",
    "CommandDelivery",
    "Commands",
    "Delivery",
    "EmbeddedEngine",
    "Engine",
    "Events",
    "GroupOf",
    "Hints",
    "Jobs",
    "LaneCounts",
    "MakeEngine",
    "Meterless",
    "ReplyJob",
    "Stopping",
    "Term",
]
