"""A command that asks a running process: its answer as a value, and a sentence with an exit code for each way of failing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import typer
from one_answer import answering, response
from pydantic import BaseModel

from ami_process.asking import NOT_OK, NOT_REACHED, USAGE, RunningProcess


class Thing(BaseModel):
    """An answer."""

    a: int


async def get(url: str) -> Thing:
    process = RunningProcess("hes", url, command="things")
    return await asyncio.to_thread(process.get, "/things", Thing, "POST", "{}", if_lost="ask again")


async def test_an_answer_is_a_value() -> None:
    async with answering(response("200 OK", b'{"a": 1}')) as (url, _):
        assert await get(url) == Thing(a=1)


@pytest.mark.parametrize(
    ("answer", "exit_code", "said"),
    [
        (response("422 Unprocessable Content", b'{"error": "not so"}'), USAGE, "hes: things: not so\n"),
        (response("200 OK", b"[]"), NOT_OK, "hes: the answer is not understood"),
        (response("500 Failed", b'{"error": "broken"}'), NOT_OK, "hes: broken; ask again\n"),
        (b"", NOT_OK, "; ask again\n"),
    ],
)
async def test_what_became_of_the_question_is_said(
    capsys: pytest.CaptureFixture[str], answer: bytes, exit_code: int, said: str
) -> None:
    async with answering(answer) as (url, _):
        with pytest.raises(typer.Exit) as ended:
            await get(url)
    assert ended.value.exit_code == exit_code and said in capsys.readouterr().err


def test_a_process_that_is_not_there_was_asked_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        RunningProcess("hes", "http://127.0.0.1:1").get("/things", Thing)
    assert ended.value.exit_code == NOT_REACHED
    assert "nothing was sent. `hes serve` is the process, --url says where it is\n" in capsys.readouterr().err


def test_a_program_that_asks_the_process_of_another_names_that_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        RunningProcess("ami", "http://127.0.0.1:1", command="trace", serves="hes").get("/things", Thing)
    said = capsys.readouterr().err
    assert said.startswith("ami: ") and "`hes serve` is the process" in said and "`ami serve`" not in said


@pytest.mark.parametrize(
    ("url", "token_file", "said"),
    [
        ("127.0.0.1:8081", None, "hes: 127.0.0.1:8081 is no URL: write http://HOST:PORT; nothing was sent."),
        ("http://127.0.0.1:1", "nowhere", "nothing was sent. --token-file names it\n"),
    ],
)
def test_what_names_no_process_or_no_token_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, url: str, token_file: str | None, said: str
) -> None:
    with pytest.raises(typer.Exit) as ended:
        RunningProcess("hes", url, None if token_file is None else tmp_path / token_file).get("/things", Thing)
    assert ended.value.exit_code == NOT_REACHED and said in capsys.readouterr().err
