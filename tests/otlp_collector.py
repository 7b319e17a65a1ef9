"""A collector of OpenTelemetry for tests: takes traces by OTLP over HTTP, decodes them by the protocol's own messages, and keeps octets and spans.

Needs opentelemetry-proto, which comes with the exporter (`@pytest.mark.needs("opentelemetry")`).
"""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from free_ports import free_port
from patience import PATIENCE_S

PATH = "/v1/traces"


@dataclass
class Collector:
    """`status`: what it answers; `tokens`: the Authorization of each post; `octets`: of all of them."""

    status: int = 200
    spans: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    octets: bytearray = field(default_factory=bytearray)
    url: str = ""
    came: threading.Condition = field(default_factory=threading.Condition)

    def take(self, octets: bytes) -> None:
        """One post. A collector that gets no such message raises, and answers nothing."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        told = ExportTraceServiceRequest.FromString(octets)
        self.octets += octets
        for resource in told.resource_spans:
            said = _attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [_span(one) | {"resource": said} for one in scope.spans]

    def wait(self, is_there: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """All spans so far, as soon as that holds of them."""
        with self.came:
            held = self.came.wait_for(lambda: is_there(self.spans), PATIENCE_S)
            names = [one["name"] for one in self.spans]
            assert held, f"the collector has these spans only: {names}"
            return list(self.spans)


def _span(one: Any) -> dict[str, Any]:
    return {
        "trace": one.trace_id.hex(),
        "id": one.span_id.hex(),
        "parent": one.parent_span_id.hex(),
        "name": one.name,
        "kind": type(one).SpanKind.Name(one.kind).removeprefix("SPAN_KIND_").lower(),
        "attributes": _attributes(one.attributes),
        "events": [(event.name, _attributes(event.attributes)) for event in one.events],
        "links": [(link.trace_id.hex(), link.span_id.hex()) for link in one.links],
        "is_ok": one.status.code == 1,
        "fault": one.status.message,
        "began": one.start_time_unix_nano,
        "ended": one.end_time_unix_nano,
    }


def _attributes(values: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in values}


@contextmanager
def collecting(status: int = 200) -> Iterator[Collector]:
    """One that listens at a free port of the loopback."""
    one = Collector(status)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            octets = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                octets = gzip.decompress(octets)
            assert (self.path, self.headers["Content-Type"]) == (PATH, "application/x-protobuf")
            with one.came:
                one.tokens.append(self.headers.get("Authorization"))
                if one.status == 200:
                    one.take(octets)
                one.came.notify_all()
            self.send_response(one.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    one.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
