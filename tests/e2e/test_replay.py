"""A session that was recorded on the wire proves nothing, in no life of the HES: real processes, LLS with ciphering (M-043)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from free_ports import free_port
from harness import System, Tap
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid
from wire import frames

from ami_dlms.framing import wrapper


class Recorder(Tap):
    """A tap that can stand in the meter's place: it then gives the recorded answers again, one for each frame that comes."""

    replayed: list[bytes] | None = None
    asked = 0

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.replayed is None:
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                for source, sink, kept in ((near, far, self.requests), (far, near, self.answers)):
                    threading.Thread(target=self._pump, args=(source, sink, kept), daemon=True).start()
                continue
            with near, suppress(OSError):
                self._answer(near, iter(self.replayed))

    def _answer(self, connection: socket.socket, answers: Iterator[bytes]) -> None:
        deframer = wrapper.Deframer()
        while octets := connection.recv(65536):
            deframer.receive_data(octets)
            while deframer.next_pdu() is not None:
                self.asked += 1
                connection.sendall(next(answers, b""))


@pytest.mark.parametrize("last", [True, False], ids=["the last session", "an earlier session"])
@pytest.mark.parametrize("life", ["the same life", "after kill -9"])
def test_a_recorded_session_is_not_ok(ami: System, life: str, last: bool) -> None:
    meter = ami.meter("M1001")
    meter["authentication"], meter["secret"] = "lls", b"a password".hex()
    port, real = meter["address"].rsplit(":", 1)[1], free_port()
    meter["simulated"]["listen"] = f"127.0.0.1:{real}"
    recorder = Recorder(int(port), real)
    ami.taps.append(recorder)
    ami.start("M1001")
    assert Stranger(ami.hes_url).switch(DISCONNECT, [by_mrid(meter)]).result == "OK"
    recorded = [wrapper.encode(pdu) for pdu in frames(recorder.answers)]
    if not last:
        assert Stranger(ami.hes_url).switch(CONNECT, [by_mrid(meter)]).result == "OK"
    if life == "after kill -9":
        ami.hes.kill()
        ami.start_hes()
    recorder.replayed = recorded
    reached = len(recorder.requests)
    answer = Stranger(ami.hes_url).switch(DISCONNECT, [by_mrid(meter)])
    assert (answer.result, answer.codes) == ("FAILED", ["7.4"])
    assert "used before" in answer.reasons and "was not sent" in answer.reasons
    assert recorder.asked >= 4, "its name was asked, and its association"
    assert len(recorder.requests) == reached, "nothing reached the meter"
