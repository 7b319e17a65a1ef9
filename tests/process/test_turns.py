"""Many short pieces of work at once hold nothing else up."""

from __future__ import annotations

import asyncio

import pytest

from ami_process.turns import Turns


async def test_between_two_pieces_everything_else_has_a_round() -> None:
    done: list[str] = []

    async def somebody_else() -> None:
        while done.count("piece") < 5:
            done.append("else")
            await asyncio.sleep(0)

    turns = Turns()
    other = asyncio.create_task(somebody_else())
    await asyncio.gather(*(turns.call(lambda: done.append("piece")) for _ in range(5)))
    await other
    assert "piece piece" not in " ".join(done)
    assert done.count("piece") == 5


async def test_what_a_piece_raises_costs_no_turn() -> None:
    turns = Turns()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await turns.call(fail)
    assert await turns.call(lambda: 7) == 7
