"""What simulated meters do wrong on purpose, by name: 39 faults and the defects of conformance, with conditions, a probability and a seed.

`registry` is the table of the faults, `defects` has the others, `rule` says where and when one happens, `book` keeps the rules of a process.
"""

from ami_meter_sim.faults.book import Active, Faults, disturbed
from ami_meter_sim.faults.fault import Fault, Item, Occasion
from ami_meter_sim.faults.registry import FAULTS, FaultRow
from ami_meter_sim.faults.rule import FaultError, Rule, kind_of

__all__ = [
    "FAULTS",
    "Active",
    "Fault",
    "FaultError",
    "FaultRow",
    "Faults",
    "Item",
    "Occasion",
    "Rule",
    "disturbed",
    "kind_of",
]
