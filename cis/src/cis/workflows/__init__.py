"""What the operator's side does: send one control and see it through, and do so again and again in the demo loop."""

from cis.workflows.controls import Controls
from cis.workflows.loop import DemoLoop, Plan, Summary
from cis.workflows.orders import CONNECT, CONTROL_WORDS, DISCONNECT, MeterError, Order, Outcome, Target
from cis.workflows.surroundings import Emit, Surroundings

__all__ = [
    "CONNECT",
    "CONTROL_WORDS",
    "DISCONNECT",
    "Controls",
    "DemoLoop",
    "Emit",
    "MeterError",
    "Order",
    "Outcome",
    "Plan",
    "Summary",
    "Surroundings",
    "Target",
]
