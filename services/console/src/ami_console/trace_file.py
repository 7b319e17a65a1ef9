"""A trace as one HTML file that needs nothing else: to be attached to a ticket, and opened by somebody without any of this.

It holds the view of the trace (`ami_trace.view`) as JSON, and the markup, the script, the styles and the fonts of the console's trace view.
`Content-Security-Policy` lets it run its own script and use its own styles, by their digests, and load nothing from anywhere: whatever
is in a trace, the file can send nothing.
"""

import base64
import json
import re
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

_FONT = re.compile(r"url\(vendor/([a-z0-9.-]+\.woff2)\)")


def trace_file(view: Mapping[str, Any]) -> str:
    """The file, in UTF-8."""
    own = files("ami_console")
    static = own.joinpath("static", "console")
    script = _text(static, "trace.js")
    style = _with_fonts(_text(static, "console.css"), static) + _text(static, "trace.css")
    title = f"Trace {view['message_id']}"
    return _FILE.format(
        policy=_policy(script, style),
        title=escape(title),
        style=style,
        markup=own.joinpath("templates", "trace_view.html").read_text("utf-8"),
        view=_as_text(view),
        script=script,
    )


_FILE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body class="file">
<main>
{markup}</main>
<script type="application/json" id="trace-view">{view}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def _policy(script: str, style: str) -> str:
    return f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; font-src data:"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"


def _as_text(view: Mapping[str, Any]) -> str:
    """JSON in which nothing ends the element that it is in."""
    return json.dumps(view, separators=(",", ":")).replace("<", "\\u003c")


def _with_fonts(style: str, static: Traversable) -> str:
    """The fonts as data, since the file may load nothing."""

    def font(found: re.Match[str]) -> str:
        octets = static.joinpath("vendor", found.group(1)).read_bytes()
        return f"url(data:font/woff2;base64,{base64.b64encode(octets).decode()})"

    return _FONT.sub(font, style)


def _text(static: Traversable, name: str) -> str:
    return static.joinpath(name).read_text("utf-8")
