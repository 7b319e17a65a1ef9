"""The process is killed (SIGKILL) behind each step of a request; the next one loses nothing, doubles nothing, and answers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from engines import MAKE, STEPS
from lxml import etree
from north_bench import DISCONNECT, GENERIC, SCHEMAS, TYPED, Cis, control, mrid, north, octets, request, texts
from patience import PATIENCE_S
from postgresql_server import location, rows
from reading_bench import BOUND, asked
from set_bench import control as switched
from set_bench import later

from ami_cim import wire
from ami_cim.envelope import REQUEST_MESSAGE
from ami_process.store.places import Place

HES = Path(__file__).with_name("dying_hes.py")
METERS = ["M1", "M2"]
LATE = ("reply put", "posted", "part taken", "replied", "reply done")
SYNCHRONOUS = [step for step in STEPS if step not in ("message kept", *LATE)]
ASYNCHRONOUS = [step for step in STEPS if step not in ("message kept", "announced", "part taken")]
IN_A_SET = [step for step in STEPS if step not in ("accepted", "part taken")]
SMALL = ("saved", "answered", "posted")
"""Those that the small run of the tests makes: between them lay the gaps of earlier versions."""


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return tmp_path / "hes.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql").new_place()


@pytest.fixture(params=MAKE)
def engine(request: pytest.FixtureRequest) -> str:
    """The name of each engine in turn."""
    return str(request.param)


def steps(names: list[str], small: tuple[str, ...] = SMALL) -> list[object]:
    sqlite = [pytest.param("sqlite", name, marks=() if name in small else pytest.mark.ci) for name in names]
    larger = (pytest.mark.needs("postgresql"), pytest.mark.ci)
    return sqlite + [pytest.param("postgresql", name, marks=larger) for name in names]


@dataclass(frozen=True)
class Left:
    """What the store of the killed process says."""

    finished: set[str]
    attempted: set[str]
    answer: bytes | None
    taken: bool


def left_in(place: Place) -> Left:
    ((answer,),) = rows(place, "SELECT answer FROM requests")
    assert answer is None or isinstance(answer, bytes)
    return Left(
        {str(name) for (name,) in rows(place, "SELECT meter_name FROM commands WHERE finished_at IS NOT NULL")},
        {str(name) for (name,) in rows(place, "SELECT meter_name FROM attempts")},
        answer,
        rows(place, "SELECT count(*) FROM replies WHERE taken_at IS NOT NULL") == [(1,)],
    )


async def killed_behind(
    directory: Path, place: Place, engine: str, step: str, body: bytes, *, meters: int = 3, path: str = TYPED
) -> Left:
    """What is left by a first life that gets the request and dies of it."""
    await run_and_kill(directory, place, engine, step, body, meters=meters, path=path)
    return left_in(place)


async def run_and_kill(
    directory: Path, place: Place, engine: str, step: str, body: bytes, *, meters: int = 3, path: str = TYPED
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HES),
        str(directory),
        engine,
        step,
        location(place),
        str(meters),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(HES.parents[2])},
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
        with suppress(httpx.TransportError):  # it dies before it has answered, or behind that
            await client.post(url + path, content=body, headers={"Content-Type": "text/xml; charset=utf-8"})
    assert await process.wait() == -signal.SIGKILL, f"it never came to the step {step!r}"


def results_in(place: Place) -> list[tuple[object, ...]]:
    return rows(place, "SELECT meter_name, ok FROM commands ORDER BY meter_name")


@pytest.mark.parametrize(("place", "step"), steps(SYNCHRONOUS), indirect=["place"])
async def test_a_synchronous_request(tmp_path: Path, place: Place, engine: str, step: str) -> None:
    body = octets(request(control(DISCONNECT, *METERS)))
    left = await killed_behind(tmp_path, place, engine, step, body)
    async with north(tmp_path, make_engine=MAKE[engine], store=location(place)) as hes:
        answers = [(await hes.post(body)).content for _ in range(2)]
        assert [texts(answer, "Result") for answer in answers] == [["OK"]] * 2
        assert answers[0] == answers[1]
        again = {name: attempted for name, _, attempted in hes.meters.told()}
    assert again == {name: name in left.attempted for name in METERS if name not in left.finished}
    assert results_in(place) == [("M1", 1), ("M2", 1)]
    assert left.answer in (None, left_in(place).answer)


@pytest.mark.parametrize(("place", "step"), steps(ASYNCHRONOUS), indirect=["place"])
async def test_an_asynchronous_request(tmp_path: Path, place: Place, engine: str, step: str) -> None:
    async with Cis().serving() as cis:
        body = octets(request(control(DISCONNECT, *METERS), async_reply_flag=True, reply_address=cis.url))
        left = await killed_behind(tmp_path, place, engine, step, body)
        posted = len(cis.requests)
        async with north(tmp_path, make_engine=MAKE[engine], store=location(place)) as hes:
            assert texts((await hes.post(body)).content, "code") == ["0.3"], "the acknowledgement, once more"
            async with asyncio.timeout(PATIENCE_S):
                while not left_in(place).taken:
                    await asyncio.sleep(0.01)
            again = {name: attempted for name, _, attempted in hes.meters.told()}
        assert again == {name: name in left.attempted for name in METERS if name not in left.finished}
        assert len(cis.requests) == posted + (not left.taken)
        assert len({reply for _, reply in cis.requests}) == 1, "whoever gets it twice gets the same message"
        assert texts(cis.requests[0][1], "Result") == ["OK"]
    assert results_in(place) == [("M1", 1), ("M2", 1)]
    assert left.answer in (None, left_in(place).answer)


@pytest.mark.parametrize(("place", "step"), steps(IN_A_SET, ("message kept",)), indirect=["place"])
async def test_an_operation_set_with_a_reply_address(tmp_path: Path, place: Place, engine: str, step: str) -> None:
    """Once its message is kept nobody has to send it again, whatever of it was done when the process was killed."""
    ids = "SELECT request_id FROM requests WHERE noun = 'OperationSet'"
    taken = f"SELECT count(*) FROM replies WHERE taken_at IS NOT NULL AND request_id IN ({ids})"
    async with Cis().serving() as cis:
        body = later(cis, switched(DISCONNECT, "M1"), switched(DISCONNECT, "M2"))
        await run_and_kill(tmp_path, place, engine, step, body, path=GENERIC)
        attempted = {str(name) for (name,) in rows(place, "SELECT meter_name FROM attempts")}
        finished = {
            str(name) for (name,) in rows(place, "SELECT meter_name FROM commands WHERE finished_at IS NOT NULL")
        }
        posted, was_taken = len(cis.requests), rows(place, taken) == [(1,)]
        async with north(tmp_path, make_engine=MAKE[engine], store=location(place)) as hes:
            async with asyncio.timeout(PATIENCE_S):
                while rows(place, taken) != [(1,)]:
                    await asyncio.sleep(0.01)
            again = {name: attempted for name, _, attempted in hes.meters.told()}
            assert texts((await hes.post(body, GENERIC)).content, "code") == ["0.3"]
        assert again == {name: name in attempted for name in METERS if name not in finished}
        assert len(cis.requests) == posted + (not was_taken)
        assert len({reply for _, reply in cis.requests}) == 1
        assert texts(cis.requests[0][1], "Result") == ["OK"]
    assert results_in(place) == [("M1", 1), ("M2", 1)]
    assert rows(place, "SELECT count(*) FROM kept_messages") == [(0,)]


@pytest.mark.parametrize(("place", "step"), steps(["posted", "part taken"]), indirect=["place"])
async def test_an_answer_in_parts(tmp_path: Path, place: Place, engine: str, step: str) -> None:
    """Killed behind its first part: only that may come twice, and each meter is in one part."""
    count = 40
    async with Cis().serving() as cis:
        message = asked(count, async_reply_flag=True, reply_address=cis.url)
        body = wire.write_request(message, REQUEST_MESSAGE, SCHEMAS)
        left = await killed_behind(tmp_path, place, engine, step, body, meters=count, path=GENERIC)
        assert (len(cis.requests), left.taken) == (1, False)
        async with north(
            tmp_path, make_engine=MAKE[engine], store=location(place), meters=count, max_answer_octets=BOUND
        ) as hes:
            async with asyncio.timeout(PATIENCE_S):
                while not left_in(place).taken:
                    await asyncio.sleep(0.01)
            assert hes.meters.commands == []
        posted = [body for _, body in cis.requests]
    repeated = 1 if step == "posted" else 0
    assert posted[:repeated] == posted[1 : 1 + repeated]
    parts = posted[repeated:]
    assert len(parts) > 3 and len({texts(one, "MessageID")[0] for one in parts}) == len(parts)
    named = [meter for one in parts for meter in read_of(one)]
    assert named == [mrid(number) for number in range(1, count + 1)]
    assert [texts(one, "code") for one in parts] == [*[["0.1"]] * (len(parts) - 1), ["0.2"]]


def read_of(part: bytes) -> list[str]:
    """The meters of a part."""
    return [one.text or "" for one in etree.fromstring(part).iterfind(".//{*}MeterReading/{*}Meter/{*}mRID")]
