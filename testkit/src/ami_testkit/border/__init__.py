"""The border between a client and a head-end: everything of CIM goes through it, both ways, and faults may happen there."""

from ami_testkit.border.border import Border as Border
from ami_testkit.border.kinds import KINDS as KINDS
from ami_testkit.border.kinds import Leg as Leg
from ami_testkit.border.rules import Fault as Fault
