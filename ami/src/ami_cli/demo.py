"""The demo: CIS, HES and meters as processes of this machine, started, watched, stopped.

Order: look at the ports, write the effective configuration into a directory of the demo's own, start meters and HES, start
the CIS once they listen, and from then on only listen to what they say. It is over when the rounds that were asked for are
answered, when somebody wants it to stop, or when a process ends that should not.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ami_cis.request_size import MOST_ASKED
from ami_cli import configuration, populations, port_check
from ami_cli.configuration import Changes, Document
from ami_cli.demo_outputs import DemoOutput, Setting
from ami_cli.demo_state import DemoState, Explainer
from ami_cli.processes import Emitted, Ended, Message, Processes, Program, environment, module
from ami_cli.simulators import Simulator, consoles_of, linked, played_by
from ami_process.platforms import NeedsPosix

try:
    import fcntl
except ModuleNotFoundError as missing:
    raise NeedsPosix(missing) from None

PORTS_TAKEN = 98
START_S = 180.0
"""Until all processes listen; a busy machine takes long, and a process that ends by itself is noticed at once."""
COMMANDS_A_CYCLE, READINGS_A_CYCLE = 2, 3
ANSWERED_BY_OPTIONS = (
    "AMI_CIS__PORT",
    "AMI_HES__PORT",
    "AMI_HES__DLMS_PORT",
    "AMI_METER_SIM__PORT",
    "AMI_METERS",
    "AMI_DEMO__CYCLES",
    "AMI_DEMO__PERIOD_S",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a demo shall run."""

    configuration: Path
    changes: Changes
    output: Callable[[Setting], DemoOutput]
    programs: Callable[[Document, Path, Sequence[Simulator]], Sequence[Program]]
    directory: Path = Path("var")
    start_s: float = START_S


class PortsTaken(Exception):
    """The demo cannot start; the text says which ports and how to choose others."""


def programs(document: Document, path: Path, simulators: Sequence[Simulator]) -> tuple[Program, ...]:
    """The processes of a demo on this configuration: meters, HES, CIS."""
    hes = Program("hes", "hes", module("ami_hes", "serve", "--config", str(path)), rank=1)
    cis = Program("cis", "cis", module("ami_cis", "serve", "--config", str(path)), rank=0)
    return (*(one.program(path) for one in simulators), hes, cis)


async def run(options: Options) -> int:
    """Run a demo to its end; the exit code. Raises PortsTaken or ConfigurationError before anything has been started."""
    written = configuration.load(options.configuration)
    effective = configuration.subscribed(configuration.effective(written, options.changes))
    document = configuration.anchored(effective, Path.cwd())
    if options.changes.tls:
        from ami_cli import demo_tls  # which loads cryptography, and a demo without TLS should start at once

        document = demo_tls.secured(document, datetime.now(UTC))
    simulators = played_by(document, options.changes.meter_sim_port)
    document = linked(document, simulators)
    listeners = (*configuration.listeners(document), *consoles_of(document, simulators))
    if trouble := port_check.taken(listeners):
        raise PortsTaken(port_check.advice(trouble, str(options.configuration), own_state=_in_use(document)))
    setting = Setting(
        listeners=listeners,
        meters=(*(meter["name"] for meter in document["meters"]), *populations.meter_names(document)),
        diallers=tuple(meter["name"] for meter in configuration.simulated(document) if meter["address"] == "dials-in"),
        security=_security(document),
        configuration=str(options.configuration),
        explainer=_explainer(document) if options.changes.log_apdus else None,
    )
    options.directory.mkdir(parents=True, exist_ok=True)
    with _alone(document):
        directory = Path(tempfile.mkdtemp(prefix="demo-", dir=options.directory))
        path = (directory / "demo.toml").absolute()
        populations.ship(document, path.parent)
        configuration.write(document, path)
        started = Processes(directory, environment(ANSWERED_BY_OPTIONS))
        demo = Demo(
            setting,
            options.output(setting),
            started,
            options.programs(document, path, simulators),
            _cycles(document),
            _reads(document),
        )
        exit_code = await demo.run(options.start_s)
        if exit_code == 0:
            shutil.rmtree(directory)
        return exit_code


@dataclass(slots=True)
class Demo:
    """One run: the processes, what is known of them, and whether it is over."""

    setting: Setting
    output: DemoOutput
    processes: Processes
    programs: Sequence[Program]
    cycles: int
    reads: bool
    """Whether registers are read before and after each command."""
    model: DemoState = field(init=False)
    trouble: list[str] = field(default_factory=list)
    ports_taken: bool = False
    _awaited: set[tuple[str, str]] = field(default_factory=set)
    """What has to happen before the CIS may begin: (event, name)."""
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.model = DemoState(
            meters=self.setting.meters, started_at=datetime.now(UTC), explainer=self.setting.explainer
        )
        self._awaited = {("ready", program.name) for program in self.programs}
        self._awaited |= {("dialled_in", meter) for meter in self.setting.diallers}

    async def run(self, start_s: float) -> int:
        """Start, listen until it is over, stop; the exit code."""
        loop = asyncio.get_running_loop()
        deadline = loop.call_later(start_s, self._too_late)
        with self._signals(loop):
            async with self.output.display(self.model), self.processes:
                await self._start_servers()
                listening = asyncio.create_task(self._listen())
                over = asyncio.create_task(self._over.wait())
                await asyncio.wait({listening, over}, return_when=asyncio.FIRST_COMPLETED)
                deadline.cancel()
                over.cancel()
                self._notice("stopping")
                await self.processes.stop()
                await listening
        exit_code = self.exit_code
        kept = (
            []
            if exit_code == 0
            else [f"The configuration, the events and the logs of this demo are kept in {self.processes.logs}"]
        )
        with self._telling():
            self.output.closing(self.model, self.trouble + kept)
        return exit_code

    @property
    def exit_code(self) -> int:
        """0 only if every command that was to be confirmed is confirmed."""
        if self.ports_taken:
            return PORTS_TAKEN
        total = self.model.summary()
        expected = self.cycles * COMMANDS_A_CYCLE * len(self.setting.meters) if self.cycles else total.commands
        good = not self.trouble and total.all_confirmed and total.confirmed_commands >= expected
        return 0 if good else 1

    @property
    def _requests_a_cycle(self) -> int:
        requests_of_a_reading = -(-len(self.setting.meters) // MOST_ASKED)
        return COMMANDS_A_CYCLE + (READINGS_A_CYCLE * requests_of_a_reading if self.reads else 0)

    async def _start_servers(self) -> None:
        with self._telling():
            self.output.opening()
        self._notice("starting the meters and the HES")
        for program in self.programs:
            if program.role != "cis":
                await self.processes.start(program)

    async def _listen(self) -> None:
        async for message in self.processes.messages():
            with self._telling():
                await self._take(message)

    async def _take(self, message: Message) -> None:
        if isinstance(message, Ended):
            self._ended(message)
            return
        steps = self.model.apply(message.origin.role, message.event, message.at)
        self.output.on_event(message, steps)
        kind = message.event.get("event")
        if kind == "ready":
            await self._happened("ready", message.origin.name)
        elif kind == "dialled_in":
            await self._happened("dialled_in", str(message.event.get("meter")))
        elif kind in ("port_taken", "cannot_listen"):
            self._port_taken(message)
        elif self.cycles and self.model.finished >= self.cycles * self._requests_a_cycle:
            self._over.set()

    async def _happened(self, event: str, name: str) -> None:
        """Start the CIS when it is the only thing that is still missing."""
        if (event, name) not in self._awaited or self._over.is_set():
            return
        self._awaited.remove((event, name))
        last = [program for program in self.programs if program.role == "cis"]
        if not self._awaited:
            self._notice("")
        elif self._awaited == {("ready", program.name) for program in last}:
            self._notice("starting the CIS")
            for program in last:
                await self.processes.start(program)

    def _port_taken(self, message: Emitted) -> None:
        self.ports_taken = True
        where, setting = message.event.get("address", "?"), message.event.get("setting", "?")
        reason = message.event.get("reason") or "it is taken"
        self.trouble.append(f"{where}, wanted by {setting}: {reason}; change it in {self.setting.configuration}")
        self._over.set()

    def _ended(self, message: Ended) -> None:
        """A process ended unasked; the HES can go on without a meter, and has to say so."""
        if self._over.is_set():
            return
        program, code = message.origin, message.exit_code
        self.model.process_ended(program.name, code, message.at)
        words = self.processes.last_words(program)
        text = f"{program.name} ended with exit code {code} before the demo was over" + (
            f"; its last output:\n{words}" if words else ""
        )
        self.trouble.append(text)
        if program.role == "meter" and ("ready", program.name) not in self._awaited:
            self._notice(text)
        else:
            self._over.set()

    def _too_late(self) -> None:
        if self._awaited:
            missing = [f"{name} ({event})" for event, name in sorted(self._awaited, key=lambda one: one[1])]
            self.trouble.append(f"still waited for in vain: {', '.join(missing)}")
            self._over.set()

    def _notice(self, text: str) -> None:
        with self._telling():
            self.output.notice(text)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """The reader has gone, as in `ami demo | head`: a reason to stop, not an error."""
        try:
            yield
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
            self._over.set()

    @contextlib.contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._asked_to_stop)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _asked_to_stop(self) -> None:
        if self._over.is_set():
            self.processes.hurry()
        self._over.set()


def _explainer(document: Document) -> Explainer:
    from ami_cli.wire_words import Deciphering  # which loads cryptography as well

    return Deciphering(document["meters"], os.environ)


def _cycles(document: Document) -> int:
    return int(document.get("demo", {}).get("cycles", 0))


def _reads(document: Document) -> bool:
    return bool(document.get("demo", {}).get("read"))


def _security(document: Document) -> str:
    kinds = dict.fromkeys(meter.get("authentication", "hls-gmac") for meter in document["meters"])
    return " and ".join("unencrypted" if kind == "none" else kind for kind in kinds)


@contextlib.contextmanager
def _alone(document: Document) -> Iterator[None]:
    """Hold the state of this configuration: two demos on one HES store would finish each other's requests, and two
    simulators with one state would use each other's invocation counters."""
    with contextlib.ExitStack() as locks:
        for path in configuration.kept(document):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = locks.enter_context(path.with_suffix(".lock").open("w"))
            except OSError as error:
                text = f"state can't be kept at {path}: {error.filename}: {error.strerror}; choose another place: {port_check.OWN_STATE}"
                raise configuration.ConfigurationError(text) from None
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = f"another demo is working with {path}; give this one a state of its own: {port_check.OWN_STATE}"
                raise configuration.ConfigurationError(text) from None
        yield


def _in_use(document: Document) -> bool:
    try:
        with _alone(document):
            return False
    except configuration.ConfigurationError:
        return True
