"""A front end that does not listen, and listeners behind a balancer: meters that dial in are served by whoever has them, whoever is killed, and in their order."""

from __future__ import annotations

import copy
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import httpx
import pytest
from free_ports import free_port
from harness import Process, System, configuration, until
from nats_server import Broker
from patience import PATIENCE_S
from postgresql_server import Cluster
from prometheus_client.parser import text_string_to_metric_families
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

pytestmark = [pytest.mark.needs("postgresql"), pytest.mark.needs("nats"), pytest.mark.ci]


class Balancer:
    """TCP by turns to those that take a connection, as a balancer in front of listeners does it."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.targets: list[int] = []
        self._turn = 0
        self._left_open: set[socket.socket] = set()
        self._open: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = self._target()
            if far is None:
                near.close()
                continue
            self._open.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _target(self) -> socket.socket | None:
        for _ in self.targets:
            self._turn += 1
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", self.targets[self._turn % len(self.targets)]))
        return None

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while octets := source.recv(65536):
                sink.sendall(octets)
        for end in (source, sink):
            if end not in self._left_open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def cut_meters(self) -> None:
        """Their connections end, and the listeners do not hear of it, as where a network fails."""
        self._left_open |= {far for _, far in self._open}
        for near, _ in self._open:
            with suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()
        for ends in self._open:
            for one in ends:
                one.close()


class Relay:
    """Datagrams to one port go to another, and are kept."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.target = 0
        self.came: list[bytes] = []
        threading.Thread(target=self._pass, daemon=True).start()

    def _pass(self) -> None:
        with suppress(OSError):
            while True:
                octets, _ = self._socket.recvfrom(65_536)
                self.came.append(octets)
                self.send(octets, self.target)

    def send(self, octets: bytes, port: int) -> None:
        self._socket.sendto(octets, ("127.0.0.1", port))

    def close(self) -> None:
        self._socket.close()


class Site:
    """Meters that dial in through a balancer, a front end that does not listen, and listeners."""

    def __init__(self, system: System, balancer: Balancer) -> None:
        self.system = system
        self.balancer = balancer
        self.listeners: dict[Process, int] = {}

    def start_listener(self) -> Process:
        config, port = copy.deepcopy(self.system.config), free_port()
        config["hes"]["dlms_port"] = port
        process = self.system._start(
            "ami_hes", "listen", "--config", self.system.write(f"listener-{port}.toml", config)
        )
        process.wait_for("ready")
        self.listeners[process] = port
        self.balancer.targets.append(port)
        return process

    def kill(self, listener: Process) -> None:
        self.balancer.targets.remove(self.listeners.pop(listener))
        listener.kill()

    def holder(self, meter: str, but: Process | None = None) -> Process:
        """The listener that the meter has dialled into."""
        found: list[Process] = []

        def known() -> bool:
            found[:] = [one for one in self.listeners if one is not but and _is_here(one, meter)]
            return bool(found)

        until(known, f"{meter} has dialled in nowhere")
        return found[0]

    def moves(self, meter: str) -> list[dict[str, Any]]:
        return [
            one
            for process in self.system.processes
            for one in process.seen("switched")
            if one.get("meter", meter) == meter and one["before"] != one["after"]
        ]


def _is_here(listener: Process, meter: str) -> bool:
    names = ("dialled_in", "hung_up", "moved_away")
    said = [one["event"] for one in listener.events if one["event"] in names and one.get("meter") == meter]
    return bool(said) and said[-1] == "dialled_in"


@pytest.fixture
def site(
    tmp_path_factory: pytest.TempPathFactory, postgresql: Cluster, nats: Broker, request: pytest.FixtureRequest
) -> Iterator[Site]:
    meters = getattr(request, "param", 2)
    directory = tmp_path_factory.mktemp("listeners")
    balancer = Balancer()
    one = System(directory, configuration(directory, meters))
    for meter in one.config["meters"]:
        meter["address"] = "dials-in"
        meter["simulated"] |= {"dial_to": f"127.0.0.1:{balancer.port}", "answer_delay_s": 0.05}
    one.config["hes"] |= {
        "apdu_timeout_s": 30.0,  # a session over a connection that was cut ends because the meter has called elsewhere
        "deadline_s": 20.0,
        "listen": False,
        "store": postgresql.url(postgresql.new_schema()),
        "engine": f"{nats.server}/{nats.new_system()}",
    }
    try:
        one.start_hes()
        found = Site(one, balancer)
        found.start_listener()
        yield found
    finally:
        one.close()
        balancer.close()


def asked(site: Site, code: str) -> tuple[threading.Thread, list[Any]]:
    """All meters are to be switched; the answer is in the list when the thread has ended."""
    answers: list[Any] = []
    stranger = Stranger(site.system.hes_url)
    all_of_them = [by_mrid(meter) for meter in site.system.config["meters"]]
    thread = threading.Thread(target=lambda: answers.append(stranger.switch(code, all_of_them)))
    thread.start()
    return thread, answers


@pytest.mark.parametrize("site", [6], indirect=True)
def test_all_are_switched_wherever_they_have_dialled_in(site: Site) -> None:
    site.start_listener()
    site.system.start_meters()
    names = [meter["name"] for meter in site.system.config["meters"]]
    assert {site.holder(name) for name in names} == set(site.listeners)
    for code in (DISCONNECT, CONNECT):
        thread, answers = asked(site, code)
        thread.join(PATIENCE_S)
        assert [(one.result, one.failures) for one in answers] == [("OK", [])]
    done = [one["meter"] for listener in site.listeners for one in listener.seen("meter_done")]
    assert sorted(done) == sorted([*names, *names])
    assert all(len(site.moves(name)) == 2 for name in names)


def test_what_is_asked_of_a_meter_that_is_nowhere_waits_for_it(site: Site) -> None:
    thread, answers = asked(site, DISCONNECT)
    hes = site.system.hes
    assert hes is not None
    hes.wait_for("request_accepted")
    site.system.start_meters()
    thread.join(PATIENCE_S)
    assert [(one.result, one.failures) for one in answers] == [("OK", [])]


def test_what_waits_for_meters_that_are_nowhere_is_cancelled_and_they_are_not_switched_when_they_come(
    site: Site,
) -> None:
    """Nobody is asked for them, since the store knows that nothing was attempted; the keeper forgets them, and so does their lane."""
    hes = site.system.hes
    assert hes is not None
    site.start_listener()
    order = {"control": "disconnect", "meters": ["M1001", "M1002"], "message_id": "both", "asynchronous": True}
    with httpx.Client(base_url=site.system.hes_url, trust_env=False, timeout=PATIENCE_S) as client:
        assert client.post("/api/v1/controls", json=order).json()["accepted"] is True
        assert client.delete("/api/v1/jobs/both").json() == {"commands": 2, "waiting": False}

        def shown() -> Any:
            return client.get("/api/v1/requests/both").json()

        until(lambda: shown()["request"]["result"] is not None, "no answer")
        found = shown()
        assert (found["request"]["result"], found["request"]["done"]) == ("FAILED", 2)
        assert [one["reply_code"] for one in found["commands"]] == ["6.5", "6.5"]
        assert all("cancelled before it was begun" in one["reason"] for one in found["commands"])
        assert client.delete("/api/v1/jobs/both").json()["commands"] == 0, "there is nothing left to be cancelled"
        until(lambda: _depth(client) == 0, "the lane still has what was cancelled")
    site.system.start_meters()
    thread, answers = asked(site, CONNECT)
    thread.join(PATIENCE_S)
    assert [(one.result, one.failures) for one in answers] == [("OK", [])], answers[0].reasons
    assert [site.moves(name) for name in ("M1001", "M1002")] == [[], []], "they were connected, and stayed so"


def _depth(client: httpx.Client) -> float:
    """Of the lane of controls, by the front end's metrics."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [one for family in families for one in family.samples if one.name == "hes_lane_depth"]
    return next(one.value for one in samples if one.labels["lane"] == "control")


@pytest.mark.parametrize("site", [1], indirect=True)
def test_what_a_listener_has_begun_is_not_cancelled_and_what_waits_behind_it_is(site: Site) -> None:
    """The meter is in session with one listener, the request to cancel comes to the front end."""
    meters = site.system.start_meters()
    listener = site.holder("M1001")
    thread, answers = asked(site, DISCONNECT)
    meters.wait_for("switched")
    order = {"control": "connect", "meters": ["M1001"], "message_id": "behind", "asynchronous": True}
    with httpx.Client(base_url=site.system.hes_url, trust_env=False, timeout=PATIENCE_S) as client:
        assert client.post("/api/v1/controls", json=order).json()["accepted"] is True
        cancelled = client.delete("/api/v1/jobs/behind").json()["commands"]
        thread.join(PATIENCE_S)
        assert [(one.result, one.failures) for one in answers] == [("OK", [])], answers[0].reasons

        def ended() -> Any:
            return client.get("/api/v1/requests/behind").json()["request"]["result"]

        until(lambda: ended() is not None, "no answer")
        assert ended() == ("FAILED" if cancelled else "OK")
    assert listener.wait_for("meter_done", meter="M1001")["ok"]
    assert [one["after"]["output_state"] for one in site.moves("M1001")] == ([False] if cancelled else [False, True])


def test_a_meter_that_never_comes_is_said_to_be_missing_at_its_deadline(site: Site) -> None:
    site.system.hes.stop()  # type: ignore[union-attr]
    site.system.config["hes"]["deadline_s"] = 1.0
    site.system.start_hes()
    thread, answers = asked(site, DISCONNECT)
    thread.join(PATIENCE_S)
    assert [one.codes for one in answers] == [["4.1", "4.1"]], answers[0].reasons
    assert "dial" in answers[0].reasons


@pytest.mark.parametrize("site", [6], indirect=True)
def test_a_listener_that_is_killed_in_the_middle_is_replaced_and_nothing_is_done_twice(site: Site) -> None:
    site.start_listener()
    meters = site.system.start_meters()
    names = [meter["name"] for meter in site.system.config["meters"]]
    dead = {site.holder(name) for name in names}.pop()
    thread, answers = asked(site, DISCONNECT)
    meters.wait_for("switched")
    site.kill(dead)
    began = time.monotonic()
    thread.join(PATIENCE_S)
    assert [(one.result, one.failures) for one in answers] == [("OK", [])], answers[0].reasons
    print(f"all of {len(names)} meters were served {time.monotonic() - began:.1f} s after the kill")
    for name in names:
        assert len(site.moves(name)) == 1


@pytest.mark.parametrize("site", [1], indirect=True)
def test_a_meter_that_calls_another_listener_is_that_ones_and_its_controls_keep_their_order(site: Site) -> None:
    first, hes = next(iter(site.listeners)), site.system.hes
    assert hes is not None
    site.system.start_meters()
    site.holder("M1001")
    second = site.start_listener()
    site.balancer.targets.remove(site.listeners[first])
    site.balancer.cut_meters()  # which the first one does not hear of: the meter's work is still its own
    asking = []
    for number, code in enumerate((DISCONNECT, CONNECT, DISCONNECT), 1):
        asking.append(asked(site, code))
        hes.wait_for_some("request_accepted", number)
    for thread, answers in asking:
        thread.join(PATIENCE_S)
        assert [(one.result, one.failures) for one in answers] == [("OK", [])], answers[0].reasons
    first.wait_for("moved_away", meter="M1001")
    assert second.wait_for("meter_done", meter="M1001")["ok"]
    assert [one["after"]["output_state"] for one in site.moves("M1001")] == [False, True, False]


@pytest.mark.parametrize("site", [1], indirect=True)
def test_a_push_that_one_listener_has_taken_is_a_replay_at_another(site: Site) -> None:
    first, second = next(iter(site.listeners)), site.start_listener()
    with closing(Relay()) as relay:
        relay.target = site.listeners[first]
        site.system.meter("M1001")["simulated"]["push_to"] = f"udp://127.0.0.1:{relay.port}"
        site.system.start_meters()
        site.holder("M1001")
        thread, answers = asked(site, DISCONNECT)
        thread.join(PATIENCE_S)
        assert [one.result for one in answers] == ["OK"]
        said = first.wait_for("notification", meter="M1001", transport="udp")
        assert said["secured"] is True
        relay.send(relay.came[0], site.listeners[second])
        assert "another process" in second.wait_for("dropped", transport="udp")["reason"]
        assert second.seen("notification") == []
