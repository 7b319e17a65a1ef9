"""`ami watch`, over real sockets: what a head-end says over its API is what is seen, for as long as it is there and when it is there again."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from free_ports import free_port
from patience import PATIENCE_S
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "hes" / "north"))

from north_bench import CONNECT, DISCONNECT, StandIn, control, north, request
from one_answer import answering, response

from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.end_device_events import GetEndDeviceEvents
from ami_cli import plain_text, view
from ami_cli.looking import Looking
from ami_cli.observed import KEPT
from ami_cli.watch.following import HeadEnd, News, Told, follow
from ami_cli.watch.heard import MOST_TOLD, WatchState
from ami_hes.api.values.device_events import DeviceEvent
from ami_hes.api.values.requests import RequestEntry
from ami_hes.commands import Outcome
from ami_process.rest_client import AnswerLost, ProcessRefused
from ami_process.rest_stream import RestStream, ServerEvent

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REASON = "M2: it can't be reached at 127.0.0.1:2: the connection was refused, and the head-end has tried it three times"
REFUSED = Outcome(False, "4.1", "FATAL", REASON)


@dataclass
class Watched:
    """What a watch has seen so far, and a way to wait for more."""

    model: WatchState
    lines: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def news(self, news: News) -> None:
        self.lines += [plain_text.step(step) for step in news.steps]

    def link(self, name: str, problem: str) -> None:
        self.links.append(problem)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)

    def drawn(self, width: int = 140, height: int = 40, looking: Looking | None = None) -> str:
        console = Console(width=width, height=height, theme=view.THEME, file=io.StringIO(), record=True)
        frame = view.Frame(
            now=AT,
            width=width,
            height=height,
            title="ami watch",
            places="HES",
            consoles="",
            wire="",
            looking=looking or Looking(),
            next_steps=partial(plain_text.steps_at, "http://h:1"),
        )
        console.print(view.draw(self.model, frame), height=height)
        return console.export_text()


@asynccontextmanager
async def watching(url: str, token: Path | None = None) -> AsyncIterator[Watched]:
    seen = Watched(WatchState(started_at=AT))
    async with RestStream(url, token) as process:
        task = asyncio.create_task(follow(HeadEnd(process, seen.model, Told(seen.news, seen.link))))
        try:
            yield seen
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_request_of_anybody_is_seen_to_its_end_with_each_reason(tmp_path: Path) -> None:
    async with north(tmp_path, StandIn({"M2": REFUSED})) as hes, watching(hes.url) as seen:
        await hes.ask(request(control(CONNECT, "M3"), message_id="before"))
        await seen.until(lambda: seen.links == [""])
        await hes.ask(request(control(DISCONNECT, "M1", "M2", "M9"), message_id="m/1", source="curl"))
        await seen.until(lambda: any("▲ FAILED" in line for line in seen.lines))
        await seen.until(lambda: seen.model.requests["m/1"].code == DISCONNECT)
        assert (seen.model.meters, seen.model.states["M1"], seen.model.states["M2"]) == (3, "disconnected", "no answer")
        text = seen.drawn()
        for expected in ("◐ PARTIAL Disconnect 3.31.0.23 curl", "● OK", "1 PARTIAL", "curl → HES", "▲ 4.1 it can't"):
            assert expected in " ".join(text.split()), text
        looking = Looking()
        looking.press("enter", seen.model)
        page = seen.drawn(80, 30, looking)
        assert REASON.removeprefix("M2: ") in " ".join(page.split()), page
        for expected in (
            "Request timed out",
            "ami trace --url http://h:1 m/1",
            "1 of 2 meters did it",
            "http://h:1/traces/m%2F1",
        ):
            assert expected in page, page


async def test_what_no_meter_is_asked_for_is_seen_too_and_what_is_refused(tmp_path: Path) -> None:
    async with north(tmp_path) as hes, watching(hes.url) as seen:
        await seen.until(lambda: seen.links == [""])
        header = Header(verb="get", noun="EndDeviceEvents", message_id="order", correlation_id="order", timestamp=AT)
        await hes.ask(RequestMessage(header=header, query=GetEndDeviceEvents()), "/cim")
        await hes.ask(request(control(DISCONNECT, "M9"), message_id="nobody"))
        await hes.post(b"<no XML")
        await seen.until(lambda: len([one for one in seen.model.newest_first if one.result]) == 3)
        assert {one.message_id: one.status for one in seen.model.newest_first} == {
            "order": "OK",
            "nobody": "FAILED",
            "no MessageID (1)": "FAILED",
        }
        assert any("refused" in line and "2.4" in line for line in seen.lines), seen.lines
        await hes.client.post(f"{hes.url}/api/v1/guard/stop", json={"reason": "a wrong list"})
        await seen.until(lambda: "controls are stopped" in seen.drawn())
        assert "a wrong list" in seen.drawn()


async def test_a_lost_connection_is_told_and_made_again(tmp_path: Path) -> None:
    port = free_port()
    async with watching(f"http://127.0.0.1:{port}") as seen:
        await seen.until(lambda: seen.links)
        assert "cannot be reached" in seen.links[0] and "trying again in 0.5 s" in seen.links[0]
        async with north(tmp_path, port=port):
            await seen.until(lambda: seen.links[-1] == "")
        await seen.until(lambda: seen.links[-1])
        async with north(tmp_path, port=port) as hes:
            await seen.until(lambda: seen.links[-1] == "")
            await hes.ask(request(control(DISCONNECT, "M1"), message_id="after"))
            await seen.until(lambda: "after" in seen.model.requests and seen.model.requests["after"].result)


async def test_who_is_not_let_in_is_told_so_at_once(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-for-this-test-alone-0123456789\n")
    tokens.chmod(0o600)
    async with north(tmp_path, token_file=tokens) as hes:
        async with RestStream(hes.url) as process:
            seen = Watched(WatchState(started_at=AT))
            with pytest.raises(ProcessRefused, match="token"):
                await follow(HeadEnd(process, seen.model, Told(seen.news, seen.link)))
        async with watching(hes.url, tokens) as seen:
            await seen.until(lambda: seen.links == [""])


def entry(number: int) -> RequestEntry:
    said = {"message_id": str(number), "verb": "create", "noun": "EndDeviceControls", "source": "x", "meters": 1}
    times = {"accepted_at": AT, "deadline_at": AT, "answered_at": AT + timedelta(seconds=1)}
    return RequestEntry(**said, **times, asynchronous=False, result="OK", done=1, ok=1)


def happened(number: int) -> DeviceEvent:
    said = {"event_id": str(number), "meter": "M1", "mrid": "", "type": "0.26.0.85", "clock": "meter", "source": "push"}
    times = {"at": AT, "received_at": AT, "closed_at": None}
    return DeviceEvent(**said, **times, reason="power", details={}, issuer_tracking_id=None)


def test_a_long_watch_keeps_little_and_counts_all() -> None:
    model = WatchState(started_at=AT)
    for number in range(3 * KEPT):
        model.took_requests([entry(number)])
    model.took_events(happened(number) for number in range(2 * MOST_TOLD))
    assert (len(model.requests), model.counts["OK"]) == (KEPT, 3 * KEPT)
    assert len(model.steps) == len(model.happenings) == KEPT
    assert model.took_events([happened(2 * MOST_TOLD - 1)]) == [], "a list and a stream may have the same event"
    model.took_requests([entry(0).model_copy(update={"verb": "created", "meters": 0, "message_id": "event"})])
    assert "event" not in model.requests, "what goes to a subscriber is no request"


STREAM = b': hello\r\n\r\nevent: frame\r\ndata: {"a":\r\ndata:  1}\r\n\r\nid: 7\n\ndata: last\n\ndata: cut short'


@pytest.mark.parametrize("size", [1, 3, 1_000])
async def test_server_sent_events_are_read_however_they_are_cut(size: int) -> None:
    parts = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with answering(head + body) as (url, _), RestStream(url) as process:
        found = [event async for event in process.events("/live")]
    assert found == [ServerEvent("frame", '{"a":\n 1}'), ServerEvent("message", "last")]


async def test_what_never_ends_or_is_no_answer_of_ours_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_process.rest_stream.MOST_EVENT", 1_000)
    for endless in (b"data: " + b"x" * 2_000, b"data: " + b"x" * 600 + b"\ndata: " + b"x" * 600 + b"\n"):
        async with answering(response("200 OK", endless)) as (url, _), RestStream(url) as process:
            with pytest.raises(AnswerLost, match="octets"):
                [event async for event in process.events("/live")]
    async with answering(response("200 OK", b'{"requests": 7}')) as (url, _), RestStream(url) as process:
        with pytest.raises(AnswerLost, match="not understood"):
            await process.get("/x", RequestEntry)


@pytest.mark.ci
async def test_on_a_terminal_keys_open_a_request_and_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    async with north(tmp_path, StandIn({"M2": REFUSED})) as hes:
        await hes.ask(request(control(DISCONNECT, "M1", "M2"), message_id="m1"))
        near, far = pty.openpty()
        command = [sys.executable, "-m", "ami_cli", "watch", hes.url]
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        process = subprocess.Popen(
            command,
            stdin=far,
            stdout=far,
            stderr=far,
            env=environment,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        os.close(far)
        try:
            await asyncio.to_thread(_read_until, near, "PARTIAL")
            os.write(near, b"\r")
            await asyncio.to_thread(_read_until, near, "Request timed out")
            os.write(near, b"\x03")
            said = await asyncio.to_thread(_read_until, near, None)
            after = said.partition("\x1b[?1049l")[2]  # the screen of before is back
            assert "1 request" in after and "PARTIAL" in after
            assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
        finally:
            process.kill()
            os.close(near)


def _own_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(descriptor: int, text: str | None) -> str:
    """What is written up to a text, or to the end."""
    said = ""
    while text is None or text not in said:
        assert select.select([descriptor], [], [], PATIENCE_S)[0], said
        try:
            said += os.read(descriptor, 65_536).decode(errors="replace")
        except OSError:  # on Linux that is the end of a terminal
            assert text is None, said
            break
    return said


@pytest.mark.ci
async def test_without_a_terminal_there_are_lines_until_it_is_stopped(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        command = [sys.executable, "-m", "ami_cli", "watch", hes.url]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, env=os.environ | {"NO_COLOR": "1"}
        )
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == f"HES {hes.url}: connected\n".encode()
            await hes.ask(request(control(DISCONNECT, "M1"), message_id="m1"))
            while b"reply  \xe2\x97\x8f OK" not in await process.stdout.readline():
                pass
            process.send_signal(signal.SIGINT)
            assert (await process.stdout.read()).splitlines()[-1].startswith(b"1 request seen")
            assert await process.wait() == 0
