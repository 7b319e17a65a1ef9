"""docs/howto/check-a-message.md shows what its commands write."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/check-a-message.md"
SHOWN = re.findall(r"```sh\n(.*?)```\n\n```text\n(.*?)```\n", PAGE.read_text("utf-8"), re.DOTALL)


def test_there_is_output_on_the_page() -> None:
    assert len(SHOWN) == 3


@pytest.mark.ci
@pytest.mark.parametrize(("command", "output"), SHOWN, ids=["clean", "of another set", "readings"])
def test_the_output_is_what_the_command_writes(command: str, output: str) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.rstrip() for line in done.stdout.splitlines()] == output.splitlines()
