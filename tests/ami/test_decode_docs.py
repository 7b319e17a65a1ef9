"""docs/howto/decode.md shows what the commands really say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_dlms.explain import octets_of

PAGE = (Path(__file__).parents[2] / "docs/howto/decode.md").read_text("utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = [tuple(example.split("\n", 1)) for block in BLOCKS for example in block.removeprefix("$ ").split("\n$ ")]


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_an_example(command: str, output: str) -> None:
    said: str | None = None
    for part in command.split(" | "):
        said = CliRunner().invoke(app, shlex.split(part)[1:], input=said).output
    assert said is not None
    assert said.strip() == output.strip()


def test_the_part_written_by_hand() -> None:
    from ami_cli.decode.documents import parse_json

    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (part,) = parse_json(text)
    assert octets_of(part).hex().upper() == "C001C100080000010000FF0200"
