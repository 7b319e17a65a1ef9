"""Two ways to show a watched system: plain lines for pipes and logs, a live view for a terminal."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import typer
from rich.console import Console

from ami_cli import formatting, plain_text, view
from ami_cli.live_screen import live_screen
from ami_cli.looking import Looking
from ami_cli.observations import Happening, Octets
from ami_cli.watch.following import News
from ami_cli.watch.heard import WatchState
from ami_process.terminal_text import printable

LIVE = "live"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the processes are."""

    hes: str
    cis: str | None = None

    @property
    def all(self) -> dict[str, str]:
        """By name."""
        return {"HES": self.hes} | ({} if self.cis is None else {"CIS": self.cis})


class WatchOutput(Protocol):
    """How a watch shows itself."""

    def display(self, model: WatchState) -> contextlib.AbstractAsyncContextManager[None]:
        """While this context is open, it is being shown."""

    def news(self, news: News) -> None:
        """What was heard."""

    def link(self, name: str, problem: str) -> None:
        """How the connection with a process is; empty: live."""

    def closing(self, model: WatchState) -> None:
        """The end."""


@dataclass(slots=True)
class Lines:
    """One line for each step and event, and for each APDU where they are wanted."""

    places: Places
    octets: bool = False
    _lost: set[str] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def display(self, model: WatchState) -> AsyncIterator[None]:
        yield

    def news(self, news: News) -> None:
        for step in news.steps:
            _line(plain_text.step(step))
        for happening in news.happenings:
            _line(_happening(happening))
        for octets in news.octets if self.octets else ():
            _line(_octets(octets))

    def link(self, name: str, problem: str) -> None:
        if problem:
            _line(f"{name}: {problem}", err=True)
            self._lost.add(name)
            return
        again = " again" if name in self._lost else ""
        self._lost.discard(name)
        _line(f"{name} {self.places.all[name]}: connected{again}")

    def closing(self, model: WatchState) -> None:
        _line("".join(text for text, _ in model.told))


@dataclass(slots=True)
class Screen:
    """The view of the demo, of this system."""

    places: Places
    console: Console = field(default_factory=lambda: Console(theme=view.THEME))
    _problems: dict[str, str] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def display(self, model: WatchState) -> AsyncIterator[None]:
        self._problems = dict.fromkeys(self.places.all, "connecting")
        async with live_screen(self.console, model, self._frame):
            yield

    def _frame(self, looking: Looking) -> view.Frame:
        where = self.places.all
        lamps = (
            f"{name} {formatting.GLYPHS['OK'] + ' ' + LIVE if not self._problems.get(name) else '▲ lost'}"
            for name in where
        )
        problems = [f"{name}: {problem}" for name, problem in self._problems.items() if problem]
        return view.Frame(
            now=datetime.now(UTC),
            width=self.console.width,
            height=self.console.height,
            title="ami watch",
            places="   ".join(lamps),
            consoles="  ".join(f"{name} {url}" for name, url in where.items()),
            wire="of the newest requests, from their traces",
            notice="; ".join(problems),
            looking=looking,
            next_steps=partial(plain_text.steps_at, self.places.hes),
        )

    def news(self, news: News) -> None:
        """The next picture shows it."""

    def link(self, name: str, problem: str) -> None:
        self._problems[name] = problem

    def closing(self, model: WatchState) -> None:
        self.console.print(view.joined(model.told))


def _happening(one: Happening) -> str:
    return f"{formatting.clock(one.at)}  {one.who:<14}  {'▲ ' if one.alarm else ''}{one.text}"


def _octets(one: Octets) -> str:
    route = f"HES → {one.meter}" if one.outgoing else f"{one.meter} → HES"
    parts = (" " * 8, f"{route:<14}", one.words, one.hex, formatting.took(one.ms))
    return "  ".join(part for part in parts if part)


def _line(text: str, *, err: bool = False) -> None:
    typer.echo(printable(text), err=err)
