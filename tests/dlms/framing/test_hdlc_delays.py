"""A slow line: frames wait on it, the client loses patience, answers to old questions come after the new ones, some are lost."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest
from hdlc_line import CLIENT, SERVER, frames_of

from ami_dlms.framing.hdlc import encode
from ami_dlms.framing.hdlc_client import HdlcClient
from ami_dlms.framing.hdlc_link import ApduReceived
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.hdlc_server import HdlcServer

MAX_STEPS = 20_000
MAX_ON_THE_LINE = 20


class SlowLine:
    """Two queues of frames and an application that takes its time; what happens next is drawn by lot."""

    def __init__(self, seed: int) -> None:
        self.lot = Random(seed)
        length = self.lot.choice((32, 128, 500))
        ours, theirs = (LinkParameters(length, length, window, window) for window in self.lot.choices(range(1, 8), k=2))
        self.client = HdlcClient(CLIENT, SERVER, ours, max_retries=MAX_STEPS)
        self.server = HdlcServer(SERVER, CLIENT, theirs)
        self.impatience, self.badness = self.lot.choice((0.02, 0.1, 0.3)), self.lot.choice((0.0, 0.0, 0.1))
        self.apdus = [
            self.lot.randbytes(self.lot.choice((1, 10, 100, 300, 1500))) for _ in range(self.lot.randint(1, 8))
        ]
        self.there: deque[bytes] = deque()
        self.back: deque[bytes] = deque()
        self.to_answer: deque[bytes] = deque()
        self.served: list[bytes] = []
        self.got: list[bytes] = []
        self.asked = 0

    def put(self, queue: deque[bytes], octets: bytes) -> None:
        for frame in frames_of(octets):
            luck = self.lot.random()
            queue.extend([encode(frame)] * (0 if luck < self.badness / 2 else 2 if luck > 1 - self.badness / 2 else 1))

    def run(self) -> None:
        self.put(self.there, self.client.connect())
        for _ in range(MAX_STEPS):
            if len(self.got) == len(self.apdus):
                return
            self.step()
        raise AssertionError("the line does not recover")

    def step(self) -> None:
        moves = (
            [self.serve] * 5 * bool(self.there)
            + [self.note] * 5 * bool(self.back)
            + [self.answer] * 2 * bool(self.to_answer)
        )
        crowded = len(self.there) + len(self.back) >= MAX_ON_THE_LINE
        if not moves or (not crowded and self.lot.random() < self.impatience):
            self.put(self.there, self.client.timeout())
        else:
            self.lot.choice(moves)()

    def serve(self) -> None:
        self.server.receive_data(self.there.popleft())
        while (event := self.server.next_event()) is not None:
            if isinstance(event, ApduReceived):
                self.served.append(event.apdu)
                self.to_answer.append(event.apdu[::-1])
        self.put(self.back, self.server.data_to_send())

    def note(self) -> None:
        self.client.receive_data(self.back.popleft())
        while (event := self.client.next_event()) is not None:
            if isinstance(event, ApduReceived):
                self.got.append(event.apdu)
        self.put(self.there, self.client.data_to_send())
        if self.client.connected and len(self.got) == self.asked < len(self.apdus):
            self.asked += 1
            self.put(self.there, self.client.send_apdu(self.apdus[self.asked - 1]))

    def answer(self) -> None:
        self.put(self.back, self.server.send_apdu(self.to_answer.popleft()))


@pytest.mark.parametrize("seed", range(100))
def test_late_answers_are_never_taken_for_others(seed: int) -> None:
    line = SlowLine(seed)
    line.run()
    assert line.served == line.apdus
    assert line.got == [apdu[::-1] for apdu in line.apdus]
