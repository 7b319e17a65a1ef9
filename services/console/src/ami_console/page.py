"""A page of a console: where it is, what it is called, and the script that fills it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`path` as Starlette spells it, with parameters where there are some; `script` as ROOM/FILE below the static files.

    `nav`: its entry among the links at the top; pages without one stand under that of `under`, the path of another page.
    `template` is one of the console's own or of the process that brings the page; it is rendered once, with `values`.
    """

    path: str
    title: str
    script: str | None = None
    nav: str | None = None
    under: str | None = None
    template: str = "page.html"
    styles: tuple[str, ...] = ()
    chart: bool = False
    """Whether the chart library is loaded."""
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def nav_path(self) -> str:
        """Of the entry that is marked as the current one."""
        return self.under or self.path
