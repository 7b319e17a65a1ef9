"""What the operator's side does: send one control and see it through, and do so again and again in the demo loop."""

from ami_cis.workflows.controls import Controls
from ami_cis.workflows.exchanges import Exchanges
from ami_cis.workflows.loop import DemoLoop, Plan, Summary
from ami_cis.workflows.orders import CONNECT, CONTROL_WORDS, DISCONNECT, MeterError, Order, Outcome, Target

__all__ = [
    "CONNECT",
    "CONTROL_WORDS",
    "DISCONNECT",
    "Controls",
    "DemoLoop",
    "Exchanges",
    "MeterError",
    "Order",
    "Outcome",
    "Plan",
    "Summary",
    "Target",
]
