"""What the operator's side does: send one control, one question or one schedule and see it through, and send controls again and again in the demo loop."""

from ami_cis.workflows.controls import Controls
from ami_cis.workflows.device_events import EventQuestion, EventQuestions, EventsOutcome
from ami_cis.workflows.exchanges import Exchanges
from ami_cis.workflows.loop import DemoLoop, LoopPlan, LoopSummary
from ami_cis.workflows.master_data import FoundLink, FoundMeters, Link, MasterData, identified
from ami_cis.workflows.meter_exchange import ExchangeOrder, ExchangeOutcome, MeterExchanges
from ami_cis.workflows.orders import CONNECT, DISCONNECT, MeterReplyError, Order, OrderOutcome, Target
from ami_cis.workflows.readings import Readings, ReadOrder, ReadOutcome
from ami_cis.workflows.schedules import Every, FoundSchedule, ReadSchedule, ReadSchedules, device_label

__all__ = [
    "CONNECT",
    "DISCONNECT",
    "Controls",
    "DemoLoop",
    "EventQuestion",
    "EventQuestions",
    "EventsOutcome",
    "Every",
    "ExchangeOrder",
    "ExchangeOutcome",
    "Exchanges",
    "FoundLink",
    "FoundMeters",
    "FoundSchedule",
    "Link",
    "LoopPlan",
    "LoopSummary",
    "MasterData",
    "MeterExchanges",
    "MeterReplyError",
    "Order",
    "OrderOutcome",
    "ReadOrder",
    "ReadOutcome",
    "ReadSchedule",
    "ReadSchedules",
    "Readings",
    "Target",
    "device_label",
    "identified",
]
