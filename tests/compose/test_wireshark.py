"""The plug-in in a second version of Wireshark (4.4, with another version of Lua) beside our own decoder, field by field."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TRACE, DLMS = HERE.parent / "trace", HERE.parent / "dlms"
sys.path[:0] = [str(TRACE), str(DLMS / "association"), str(DLMS / "explain")]

from plugin_bench import differences, plugin_file, shown, together, tshark  # noqa: E402
from recorded_traffic import recordings  # noqa: E402

pytestmark = [pytest.mark.compose, pytest.mark.needs("docker"), pytest.mark.timeout(600)]
IMAGE = "ami-test-tshark"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """How that tshark is called: without a network, with our files under the names that they have here."""
    with (HERE / "tshark.Dockerfile").open() as recipe:
        subprocess.run(["docker", "build", "--quiet", "--tag", IMAGE, "-"], stdin=recipe, check=True)
    folders = (tmp_path_factory.getbasetemp(), plugin_file().parent)
    mounts = [part for folder in folders for part in ("--volume", f"{folder}:{folder}:ro")]
    return ["docker", "run", "--rm", "--network", "none", *mounts, IMAGE]


def test_recorded_traffic_field_by_field_in_the_next_version(program: list[str], tmp_path: Path) -> None:
    every = together(recordings())
    capture, keys = tmp_path / "all.pcapng", tmp_path / "keys"
    capture.write_bytes(every.content)
    keys.write_text("".join(every.keys))
    for path in (tmp_path, *tmp_path.parents[:2], plugin_file().parent):
        path.chmod(0o755)  # the user of the container is none of this machine's
    assert "4.4." in tshark(capture, "--version", program=program)
    assert differences(every.expected, shown(capture, keys=keys, program=program)) == []
