"""A trace in a real browser, as the file that is attached to a ticket: opened from the disk, linked in every direction, by keys alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browsing import READY, Browser, Page, browser, inaccessible, picture, visit

from ami_console.trace_file import trace_file
from ami_trace.form import Kind, Outcome, Trace
from ami_trace.view import view_of

pytestmark = pytest.mark.needs("chromium")
TRACE = Path(__file__).parents[1] / "trace/disconnect.json"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trace with a meter that failed."""
    trace = Trace.model_validate_json(TRACE.read_bytes())
    spans = [
        span.model_copy(update={"outcome": Outcome.FAILED, "text": "5.2 M1002: it went wrong"})
        if span.meter == "M1002" and span.kind in (Kind.COMMAND, Kind.VERDICT)
        else span
        for span in trace.spans
    ]
    path = tmp_path_factory.mktemp("trace") / "trace.html"
    path.write_text(trace_file(view_of(trace.model_copy(update={"spans": tuple(spans), "outcome": Outcome.PARTIAL}))))
    return path


def opened(seen: object, file: Path) -> Page:
    page = seen.context.new_page()  # type: ignore[attr-defined]
    page.goto(file.as_uri())
    page.wait_for_selector(READY, state="attached")
    return page


def chosen(page: Page) -> str:
    return page.locator(".wrow.cur .nm b").inner_text()


def choose(page: Page, name: str) -> None:
    """The rows are drawn anew in the frame behind a scrolling: a click of two halves could begin on one that is gone by its second."""
    page.locator("#t-wf").evaluate(
        "one => { one.scrollTop = 0; return new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))); }"
    )
    page.locator(".wbody .wrow", has_text=name).first.dispatch_event("click")
    assert name in page.locator(".wrow.cur .nm").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_file_needs_nothing_and_is_accessible(chromium: Browser, file: Path, theme: str) -> None:
    with visit(chromium, theme) as seen:
        seen.context.unroute_all()
        asked: list[str] = []
        seen.context.on("request", lambda request: asked.append(request.url))
        page = opened(seen, file)
        assert [one for one in asked if not one.startswith("data:")] == [file.as_uri()]
        assert page.locator("html").get_attribute("data-theme") == theme
        assert page.locator("#t-title .pill").inner_text() == "PARTIAL"
        assert page.locator("#t-fails").inner_text().startswith("1 failed")
        picture(page, f"trace-file-{theme}")
        assert inaccessible(page) == []


def test_bytes_tree_and_xml_light_each_other(chromium: Browser, file: Path) -> None:
    with visit(chromium) as seen:
        seen.context.unroute_all()
        page = opened(seen, file)
        choose(page, "get-request-with-list")
        line = page.locator("#t-tree .tn", has_text="instance_id").first
        line.hover()
        obis = line.inner_text()
        assert page.locator("#t-hex .lit").count() == 12, "six octets, as hex and as letters"
        assert "instance_id" in page.locator("#t-xml .lit").inner_text()
        page.locator('#t-hex [data-k="c"][data-o="8"]').first.hover()
        assert page.locator("#t-tree .lit").inner_text() == obis, "from one of its octets back"
        page.locator("#t-xml div", has_text="invoke_id_and_priority").first.hover()
        assert page.locator("#t-tree .lit b").inner_text() == "invoke_id_and_priority"
        assert page.locator("#t-hex .lit").count() == 2
        size = page.locator("#t-hex [data-k='w']").count() // 2
        assert page.locator("#t-size").inner_text().startswith(f"{size} octets")


def test_a_trace_is_read_by_keys_alone(chromium: Browser, file: Path) -> None:
    with visit(chromium) as seen:
        seen.context.unroute_all()
        page = opened(seen, file)
        choose(page, "create EndDeviceControls")
        page.keyboard.press("j")
        assert chosen(page) == "CIM request"
        assert "CreateEndDeviceControls" in page.locator("#t-xml").inner_text()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowDown")
        assert chosen(page).startswith("disconnect_control at M1001"), "what is folded is passed over"
        page.keyboard.press("k")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert chosen(page) == "received, read and validated"
        page.keyboard.press("f")
        assert (
            "M1002" in page.locator("#t-tree").inner_text() and "it went wrong" in page.locator("#t-tree").inner_text()
        )
        page.keyboard.press("0")
        page.locator("#theme").click()
        assert page.locator("html").get_attribute("data-theme") == "dark"


def test_a_long_trace_has_no_more_rows_than_are_seen(chromium: Browser, tmp_path: Path) -> None:
    view = view_of(Trace.model_validate_json(TRACE.read_bytes()))
    [whole, *rest] = view["spans"]
    step = max(span["id"] for span in view["spans"])
    for copy in range(1, 60):
        for span in rest:
            shifted = json.loads(json.dumps(span)) | {"id": span["id"] + copy * step}
            shifted["parent"] = span["parent"] + (copy * step if span["parent"] != whole["id"] else 0)
            view["spans"].append(shifted)
    path = tmp_path / "long.html"
    path.write_text(trace_file(view))
    with visit(chromium) as seen:
        seen.context.unroute_all()
        page = opened(seen, path)
        assert len(view["spans"]) > 2_500
        assert page.locator(".wbody .wrow").count() < 100
        page.locator("#t-wf").evaluate("one => { one.scrollTop = one.scrollHeight; }")
        page.locator(".wbody .wrow", has_text="CIM reply").last.wait_for()
        assert page.locator(".wbody .wrow").count() < 100
