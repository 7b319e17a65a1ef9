"""Arbitrator (class 68): several actors want different things of the meter, and the weightiest wish is carried out.

Strategy: an actor, numbered from 1 as its row in the tables, asks for actions, one bit for each, the first bit being the first action.
What its row of permissions does not allow is left out. The action with the greatest sum of the weights of those who ask for it is
carried out; of several equal ones the first. The standard leaves it open what happens without any wish: nothing does.
"""

from typing import ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult
from ami_meter_sim.objects.cosem_object import ActionRefused
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.script_table import run_script
from ami_meter_sim.objects.shapes import SCRIPT, UINT8, UINT16, Array, Bits, Structure

MOST = 32


class Arbitrator(KeptObject):
    """last_outcome is the number of the action that was carried out last, from 1; 0 for none."""

    __slots__ = ()

    class_id, version = 68, 0
    initial: ClassVar = {
        "actions": data.array(),
        "permissions_table": data.array(),
        "weightings_table": data.array(),
        "most_recent_requests_table": data.array(),
        "last_outcome": data.unsigned(0),
    }
    writable: ClassVar = {
        "actions": Array(SCRIPT, MOST),
        "permissions_table": Array(Bits(MOST), MOST),
        "weightings_table": Array(Array(UINT16, MOST), MOST),
    }
    methods: ClassVar = {
        "request_action": lambda self, value: self._request(parameter(value, Structure(UINT8, Bits(MOST)))),
        "reset": lambda self, _: self._reset(),
    }

    def _request(self, wanted: Data) -> None:
        actor, bits = (part.value for part in wanted.value)
        permissions = self.elements("permissions_table")
        if not 1 <= actor <= len(permissions):
            raise ActionRefused(ActionResult.OTHER_REASON)
        allowed = permissions[actor - 1].value
        requests = [one.value for one in self.elements("most_recent_requests_table")]
        requests += [()] * (len(permissions) - len(requests))
        requests[actor - 1] = tuple([asked and granted for asked, granted in zip(bits, allowed, strict=False)])
        self.change("most_recent_requests_table", data.array(*map(data.bit_string, requests)))
        self._decide(requests)

    def _decide(self, requests: list[tuple[bool, ...]]) -> None:
        actions = self.elements("actions")
        weights = [self._weight(requests, number) for number in range(len(actions))]
        if not any(weights):
            return
        best = weights.index(max(weights))
        self.change("last_outcome", data.unsigned(best + 1))
        run_script(self.device, actions[best], locally=True)

    def _weight(self, requests: list[tuple[bool, ...]], action: int) -> int:
        """The weights, by actor and action, of all who ask for an action."""
        rows = [[one.value for one in row.value] for row in self.elements("weightings_table")]
        return sum(
            row[action]
            for row, request in zip(rows, requests, strict=False)
            if action < len(row) and action < len(request) and request[action]
        )

    def _reset(self) -> None:
        self.change("most_recent_requests_table", data.array())
        self.change("last_outcome", data.unsigned(0))
