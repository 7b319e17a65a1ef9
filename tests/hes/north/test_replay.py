"""Header.ReplayDetection: a Nonce is good for one request, and a request that is sent again is not a replay."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from north_bench import CONNECT, DISCONNECT, GENERIC, TYPED, control, north, request

from ami_cim.message import ReplayDetection, Reply

CREATED = datetime(2026, 11, 20, 12, tzinfo=UTC)
DETECTION = ReplayDetection(nonce="a nonce", created_at=CREATED)


def refused(reply: Reply) -> bool:
    return reply.result == "FAILED" and [error.code for error in reply.errors] == ["7.7"]


async def test_a_nonce_is_taken_once(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        first = request(control(DISCONNECT, "M1"), replay_detection=DETECTION)
        assert (await hes.ask(first)).reply.result == "OK"
        for again in (control(DISCONNECT, "M1"), control(CONNECT, "M2")):
            reply = (await hes.ask(request(again, replay_detection=DETECTION))).reply
            assert refused(reply)
            assert "Nonce" in (reply.errors[0].reason or "")
        assert hes.meters.told() == [("M1", DISCONNECT, False)]


async def test_the_same_message_again_gets_its_stored_answer(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        message = request(control(DISCONNECT, "M1"), replay_detection=DETECTION)
        for path in (TYPED, TYPED, GENERIC):
            assert (await hes.ask(message, path)).reply.result == "OK"
        assert len(hes.meters.commands) == 1


async def test_a_nonce_is_used_up_by_what_was_accepted_alone(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        unknown = (await hes.ask(request(control(DISCONNECT, "M99"), replay_detection=DETECTION))).reply
        assert [error.code for error in unknown.errors] == ["2.4"]
        assert (await hes.ask(request(control(DISCONNECT, "M1"), replay_detection=DETECTION))).reply.result == "OK"


async def test_the_moment_belongs_to_the_nonce(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        for created_at in (CREATED, CREATED.replace(second=1)):
            detection = ReplayDetection(nonce="a nonce", created_at=created_at)
            assert (await hes.ask(request(control(DISCONNECT, "M1"), replay_detection=detection))).reply.result == "OK"


async def test_a_nonce_is_known_after_a_restart(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M1"), replay_detection=DETECTION))).reply.result == "OK"
    async with north(tmp_path) as hes:
        assert refused((await hes.ask(request(control(DISCONNECT, "M1"), replay_detection=DETECTION))).reply)
        assert hes.meters.commands == []


async def test_of_many_at_once_one_is_taken(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        messages = [request(control(DISCONNECT, "M1"), replay_detection=DETECTION) for _ in range(10)]
        replies = [answer.reply for answer in await asyncio.gather(*(hes.ask(message) for message in messages))]
        assert sorted(reply.result for reply in replies) == ["FAILED"] * 9 + ["OK"]
        assert sum(refused(reply) for reply in replies) == 9
        assert len(hes.meters.commands) == 1
