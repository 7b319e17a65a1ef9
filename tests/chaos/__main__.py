"""`make chaos`: CIS, HES and simulated meters under load, killed and starved at random from a seed; what has to hold is checked after each step.

    make chaos                        40 kills, and another fault after every third
    make chaos KILLS=1000 SEED=7      as long as it takes
    make chaos STORE=postgresql       both stores in a PostgreSQL server of its own
    make chaos STORE=postgresql ENGINE=nats  the head-end as front ends, workers and listeners on PostgreSQL and NATS, all of which are killed
    make chaos WRITE=docs/chaos.json  the figures

What fails prints the seed and the step, and leaves logs and stores where they are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import warm_start
from nats_server import Broker, broker
from postgresql_server import Cluster, cluster
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from ami_cli.bench import machine
from ami_process.store.places import place_of
from chaos.faults import plan
from chaos.invariants import NAMES, Broken
from chaos.processes import ROOT, Died
from chaos.run import Run
from chaos.site import Site, configuration, share

KILLS, METERS = 40, 8
EVERY = 10
"""Kills between two lines where there is no terminal."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=KILLS, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="of the plan, and of what customers ask for")
    parser.add_argument("--meters", type=int, default=METERS, help="each has a customer of its own")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--engine", choices=("embedded", "nats"), default="embedded", help="nats: several processes")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the figures as JSON; those of other runs stay")
    parser.add_argument("--keep", action="store_true", help="leave logs and stores of a run that held as well")
    given = parser.parse_args()
    if given.engine == "nats" and given.store != "postgresql":
        parser.error("--engine nats needs --store postgresql, which several processes can share")
    return given


def serving_stores(config: dict[str, Any], directory: Path, stack: ExitStack) -> Cluster:
    """A server with both stores, which the configuration says."""
    server = stack.enter_context(cluster(directory / "postgresql"))
    server.run("ALTER DATABASE postgres SET log_min_messages = 'panic'")  # nobody reads on what it says
    for section in ("hes", "cis"):
        config[section]["store"] = server.url(server.new_schema())
    return server


def serving_streams(config: dict[str, Any], stack: ExitStack) -> Broker:
    """A server of NATS, over which several processes are the head-end."""
    server = stack.enter_context(broker())
    share(config, f"{server.server}/{server.new_system()}")
    return server


def table_of(run: Run) -> Table:
    """What was done."""
    table = Table("what", "count", "ready again, median", "at most", title_justify="left")
    for kind, figures in run.report()["kinds"].items():
        times = [f"{figures[name]:.2f} s" if name in figures else "" for name in ("ready_median_s", "ready_max_s")]
        table.add_row(kind, str(figures["count"]), *times)
    return table


def line_of(run: Run) -> str:
    """How far it is."""
    tally, now = run.tally, run.step.describe() if run.step else ""
    under_way = sum(1 for _ in run.ledger.under_way())
    return (
        f"{tally.done} of {sum(one.is_kill for one in run.plan)} kills, {60 * tally.done / tally.seconds:.0f} a minute, "
        f"{len(run.ledger.entries)} requests, {under_way} under way, {tally.checks} checks held: {now}"
    )


class Display:
    """On a terminal a table that is alive; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, run: Run) -> None:
        if self._live is not None:
            bar = ProgressBar(total=len(run.plan), completed=run.step.number if run.step else 0)
            self._live.update(Group(bar, line_of(run), table_of(run)), refresh=True)
        elif run.step is not None and run.step.number % EVERY == 0:
            print(line_of(run), file=sys.stderr, flush=True)


async def work(run: Run) -> None:
    """All of it; whoever asks this process to end also ends those that it has started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await run.work()
    finally:
        codes = {name: one.stop() for name, one in run.site.services.items()}
        await run.site.close()
    if any(codes.values()):
        raise Died(f"exit codes at the end: {codes}")


def summary(run: Run, store: str) -> str:
    """The end of a run that held."""
    found = run.report()
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table_of(run))
    return (
        f"{captured.get()}{found['kills']} kills of seed {run.seed} on {store} in {found['seconds']:.0f} s: "
        f"{len(NAMES)} invariants held, checked {found['invariants_held']} times; {sum(found['requests'].values())} requests, "
        f"{found['switchings']} switchings, {found['ciphered_frames']} ciphered frames. {machine()}"
    )


def write(file: Path, figures: dict[str, Any]) -> None:
    """Beside those of other runs, in place of those of the same kind."""
    runs = json.loads(file.read_text("utf-8")) if file.exists() else []
    mine = (figures["store"], figures["seed"], figures["kills"])
    others = [one for one in runs if (one["store"], one["seed"], one["kills"]) != mine]
    file.write_text(json.dumps([*others, figures], indent=1) + "\n")


def main() -> int:
    given = arguments()
    directory = Path(tempfile.mkdtemp(prefix="ami-chaos-", dir="/tmp"))  # a path of a socket has to be short
    warm_start.PACKAGES = (*warm_start.PACKAGES, "chaos.points")
    with ExitStack() as stack:
        if warm_start.possible():
            warm_start.begin()
            stack.callback(warm_start.end)
        config = configuration(directory, given.meters)
        server = serving_stores(config, directory, stack) if given.store == "postgresql" else None
        streams = serving_streams(config, stack) if given.engine == "nats" else None
        site = Site(directory, config)
        site.broker = streams
        site.stores = {name: place_of(_location(config[name]["store"]), None, name) for name in ("hes", "cis")}
        site.server = server
        display = stack.enter_context(Display())
        steps = plan(given.kills, given.seed, server=server is not None, several=streams is not None)
        run = Run(site, steps, given.seed, display)
        try:
            asyncio.run(work(run))
        except (Broken, Died) as problem:
            return failed(run, directory, str(problem))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return failed(run, directory, "interrupted")
        except Exception:  # noqa: BLE001  # whatever it is, where it happened and what was left is what helps
            return failed(run, directory, traceback.format_exc())
    where = f"{given.store} and NATS" if streams is not None else given.store
    print(summary(run, where))
    if given.write:
        write(given.write, {"machine": machine(), "store": where} | run.report())
    if given.keep:
        print(f"logs and stores are in {kept(directory)}")
    else:
        shutil.rmtree(directory)
    return 0


def _location(store: str) -> str | Path:
    return store if "://" in store else Path(store)


def kept(directory: Path) -> Path:
    """Where it is to be looked at."""
    place = ROOT / "var" / "chaos" / directory.name
    shutil.copytree(directory, place, ignore=shutil.ignore_patterns("socket", "data", "postgresql*"))
    shutil.rmtree(directory)
    return place


def failed(run: Run, directory: Path, problem: str) -> int:
    """Say what did not hold, and where to look."""
    steps = run.plan[: run.step.number if run.step else 0]
    history = "\n".join(f"  step {one.number}: {one.describe()}" for one in steps[-6:])
    print(
        f"seed {run.seed}, step {run.step.number if run.step else 0}{' (at the end)' if run.settling else ''}: {problem}\n"
        f"the last steps:\n{history}\nlogs and stores are in {kept(directory)}",
        flush=True,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
