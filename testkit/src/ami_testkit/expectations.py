"""What a test expects of a system beyond one message: `system.expect.event(...)` and the like, each with what came instead."""

from ami_testkit.inbox import WITHIN_S, Inbox
from ami_testkit.journal import Journal
from ami_testkit.messages import Message
from ami_testkit.meters import Meters


class Expectations:
    """Waits are in seconds of the machine's clock."""

    def __init__(self, inbox: Inbox, meters: Meters, journal: Journal) -> None:
        self._inbox, self._meters, self._journal = inbox, meters, journal

    def event(self, code: str, meter: str | None = None, *, within: float = WITHIN_S) -> Message:
        """An EndDeviceEvent of this code came to the inbox, of this meter."""
        return self._inbox.expect_device_event(code, meter, within=within)

    def reply(
        self,
        to: str | Message | None = None,
        *,
        result: str | None = None,
        codes: dict[str, str] | None = None,
        within: float = WITHIN_S,
    ) -> Message:
        """One late reply came, with this result and these codes by meter."""
        return self._inbox.expect_reply(to, result=result, codes=codes, within=within)

    def switch(self, meter: str, connected: bool) -> None:
        """The switch inside the meter is like that, whatever anybody was told."""
        state = self._meters[meter].state["switch"]
        if state["output_state"] is not connected:
            raise AssertionError(
                f"{meter} was expected to be {_word(connected)} and is {_word(not connected)}: {state}"
            )

    def untouched(self, meter: str) -> None:
        """No APDU has gone to this meter for any request since the last reset."""
        if found := self._journal.apdus(meter=meter):
            lines = "\n".join(f"  {one.direction}: {one.words}" for one in found[:12])
            raise AssertionError(f"nothing was expected to go to {meter}, and there are {len(found)} APDUs:\n{lines}")


def _word(connected: bool) -> str:
    return "connected" if connected else "disconnected"
