"""The page on testing a head-end, run as it stands: the head-end is one of ours that the kit knows nothing of but its address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import kits
import tomli_w
from free_ports import free_port

from ami_testkit.processes import Process
from ami_testkit.rest import Rest

ROOT = Path(__file__).parents[2]


class Mine:
    """A head-end of somebody's own, which knows no meter."""

    def __init__(self, url: str, token: str) -> None:
        self._api = Rest(url, token)
        self.url = f"{url}/cim"

    def register(self, entries: list[dict[str, Any]]) -> None:
        rows = [{"place": one["name"], "columns": _columns(one)} for one in entries]
        outcomes = {one["outcome"] for one in self._api.post("/api/v1/meters", rows=rows)["rows"]}
        assert outcomes == {"accepted"}

    def subscribe(self, url: str) -> None:
        """Nothing on the page is an event."""
        assert url.startswith("http://127.0.0.1:")

    def close(self) -> None:
        self._api.close()


def _columns(entry: dict[str, Any]) -> dict[str, Any]:
    """Without places, which are a CIS's."""
    return {key: value for key, value in entry.items() if key not in ("latitude", "longitude", "main_address")}


@contextmanager
def start_my_head_end(directory: Path) -> Iterator[Mine]:
    port = free_port()
    files = {"store": str(directory / "hes.sqlite"), "token_file": str(directory / "tokens")}
    hes = {"port": port, "dlms_port": free_port(), "reply_networks": ["127.0.0.0/8"], **files}
    (directory / "hes.toml").write_text(tomli_w.dumps({"hes": hes}))
    process = Process("mine", "ami_hes", ("serve", "--config", str(directory / "hes.toml")), directory / "hes.log")
    process.wait_ready()
    mine = Mine(f"http://127.0.0.1:{port}", (directory / "tokens").read_text().split()[-1])
    yield mine
    mine.close()
    process.stop()


def test_a_head_end_is_tested_as_the_page_says(tmp_path: Path) -> None:
    (block,) = kits.BLOCK.findall((ROOT / "docs/howto/test-your-hes.md").read_text("utf-8"))
    given: dict[str, Any] = {"start_my_head_end": partial(start_my_head_end, tmp_path)}
    exec(
        compile(block.replace("meters=20", "meters=3"), "page", "exec"),
        given,
    )
    makes = given["system"].__wrapped__()
    system = next(makes)
    tests = [one for name, one in given.items() if name.startswith("test_")]
    assert len(tests) == 3
    for one in tests:
        one(system)
    next(makes, None)
