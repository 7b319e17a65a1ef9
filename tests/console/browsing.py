"""A headless Chromium for tests: what a page loads and says is watched, nothing of any other machine is let through."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from patience import PATIENCE_S
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Route, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
READY = "html[data-ready]"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}
PICTURES = Path(os.environ.get("AMI_PICTURES", Path(__file__).resolve().parents[2] / "var/screenshots"))


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


class Visit:
    """A browser of its own (cookies, storage, locks), and what went wrong in it."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.problems: list[str] = []
        self.requests: list[str] = []
        context.set_default_timeout(PATIENCE_S * 1000)
        context.route("**/*", self._route)
        context.on("console", self._said)
        context.on("weberror", lambda fault: self.problems.append(f"fault: {fault.error}"))

    def _route(self, route: Route) -> None:
        self.requests.append(urlsplit(route.request.url).path)
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            self.problems.append(f"foreign request: {route.request.url}")
            route.abort()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def open(self, url: str) -> Page:
        """A tab with a page that is there."""
        page = self.context.new_page()
        page.goto(url)
        page.wait_for_selector(READY, state="attached")
        return page


@contextmanager
def visit(chromium: Browser, theme: str = "light") -> Iterator[Visit]:
    """In one of the themes; nothing may have gone wrong at the end."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    one = Visit(context)
    try:
        yield one
        assert one.problems == []
    finally:
        context.close()


def picture(page: Page, name: str) -> None:
    """Kept for people to look at; nothing is compared with it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def inaccessible(page: Page) -> list[str]:
    """What axe finds wrong."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


__all__ = ["PICTURES", "READY", "Browser", "Error", "Page", "Visit", "browser", "inaccessible", "picture", "visit"]
