"""Three ways to show a running demo: JSON lines for machines, plain lines for pipes, a live view for a terminal."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import typer
from rich.console import Console

from ami_cli import plain_text, view
from ami_cli.configuration import Listener
from ami_cli.decoding import decode
from ami_cli.demo_state import DemoState, Explainer
from ami_cli.live_screen import live_screen
from ami_cli.looking import Looking
from ami_cli.observations import Step
from ami_cli.processes import Emitted
from ami_hes.events import Apdu


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What there is to say about this demo before it begins."""

    listeners: tuple[Listener, ...]
    meters: tuple[str, ...]
    diallers: tuple[str, ...]
    security: str
    configuration: str
    explainer: Explainer | None = field(default=None, repr=False)
    """What puts octets into words, with the keys of the demo."""


class DemoOutput(Protocol):
    """How the demo shows itself."""

    def display(self, model: DemoState) -> contextlib.AbstractAsyncContextManager[None]:
        """While this context is open, the demo is being shown."""

    def opening(self) -> None:
        """The demo is about to begin."""

    def on_event(self, message: Emitted, steps: Sequence[Step]) -> None:
        """An event of a process, and the steps that it means."""

    def notice(self, text: str) -> None:
        """What the demo itself is doing."""

    def closing(self, model: DemoState, trouble: Sequence[str]) -> None:
        """The end, after the processes are gone and the context is closed."""


@dataclass(slots=True)
class JsonOutput:
    """Every event of every process as one JSON object, and a summary object at the end."""

    setting: Setting

    @contextlib.asynccontextmanager
    async def display(self, model: DemoState) -> AsyncIterator[None]:
        yield

    def opening(self) -> None:
        """Machines read the processes' own `ready` events."""

    def on_event(self, message: Emitted, steps: Sequence[Step]) -> None:
        self._line({"process": message.origin.name, "heard_at": message.at.isoformat(), **message.event})

    def notice(self, text: str) -> None:
        """Machines need no notices."""

    def closing(self, model: DemoState, trouble: Sequence[str]) -> None:
        self._line({"process": "ami", "event": "summary", **asdict(model.summary()), "trouble": list(trouble)})

    def _line(self, value: dict[str, object]) -> None:
        typer.echo(json.dumps(value, ensure_ascii=False))


@dataclass(slots=True)
class PlainOutput:
    """One line per step."""

    setting: Setting

    @contextlib.asynccontextmanager
    async def display(self, model: DemoState) -> AsyncIterator[None]:
        yield

    def opening(self) -> None:
        typer.echo(plain_text.opening(self.setting.listeners, len(self.setting.meters), self.setting.security))

    def on_event(self, message: Emitted, steps: Sequence[Step]) -> None:
        for step in steps:
            typer.echo(plain_text.step(step))
        if message.event.get("event") == "text":
            typer.echo(f"{message.origin.name}: {message.event['text']}")
        elif isinstance(event := decode(message.origin.role, message.event), Apdu):
            typer.echo(plain_text.apdu(event))

    def notice(self, text: str) -> None:
        if text:
            typer.echo(text)

    def closing(self, model: DemoState, trouble: Sequence[str]) -> None:
        typer.echo("\n" + plain_text.summary(model.summary()))
        for line in trouble:
            typer.echo(line, err=True)


@dataclass(slots=True)
class LiveOutput:
    """The live view on the terminal's other screen; the totals stay behind on the usual one."""

    setting: Setting
    console: Console = field(default_factory=lambda: Console(theme=view.THEME))
    _notice: str = ""

    @contextlib.asynccontextmanager
    async def display(self, model: DemoState) -> AsyncIterator[None]:
        async with live_screen(self.console, model, self._frame):
            yield

    def _frame(self, looking: Looking) -> view.Frame:
        listeners = self.setting.listeners
        return view.Frame(
            now=datetime.now(UTC),
            width=self.console.width,
            height=self.console.height,
            title="ami demo",
            places=plain_text.places(listeners),
            consoles=plain_text.consoles(listeners),
            wire=f"HES and meters, wrapper over TCP, {self.setting.security}",
            notice=self._notice,
            foot=f"configuration {self.setting.configuration}",
            looking=looking,
            next_steps=partial(plain_text.next_steps, listeners),
        )

    def opening(self) -> None:
        """Every picture shows it."""

    def on_event(self, message: Emitted, steps: Sequence[Step]) -> None:
        """The next picture shows it."""

    def notice(self, text: str) -> None:
        self._notice = text

    def closing(self, model: DemoState, trouble: Sequence[str]) -> None:
        self.console.print(view.closing(model.summary(), trouble))
