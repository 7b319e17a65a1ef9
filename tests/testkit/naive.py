"""A client of a head-end with bad habits, each of which a fault of the border finds out. Standard library and regular expressions; do not copy."""

from __future__ import annotations

import http.client
import http.server
import re
import ssl
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from lxml import etree
from patience import PATIENCE_S

from ami_testkit import Message, System
from ami_testkit.inbox import receipt

VALUE = re.compile(r"<(?:\w+:)?value>([^<]*)</")
METER = re.compile(r"<(?:\w+:)?name>(M\d+)</")
CODE = "{http://iec.ch/TC57/2011/schema/message}code"
HEADERS = {"Content-Type": "text/xml"}


class NaiveClient:
    """Asks `system.hes.url`; late replies come to a server of its own that takes one message at a time and believes each."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.taken: list[Message] = []
        self.more = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = Message(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.more:
                    outer.taken.append(message)
                    outer.more.notify_all()
                answer = receipt(message)
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: Any) -> None: ...

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        system.border.deliver_to(f"http://127.0.0.1:{self._server.server_port}/replies")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, count: int, fits: Callable[[Message], bool] = lambda one: True) -> list[Message]:
        """So many messages, as soon as they came."""
        with self.more:
            assert self.more.wait_for(lambda: len(self._fitting(fits)) >= count, PATIENCE_S), "the message did not come"
            return self._fitting(fits)

    def _fitting(self, fits: Callable[[Message], bool]) -> list[Message]:
        return [one for one in self.taken if fits(one)]

    # --- bad habits of who asks

    def post(self, request: Message, limit_s: float = PATIENCE_S) -> bytes:
        """An HTTP status or an end of the body is nothing that it looks at."""
        connection = http.client.HTTPConnection(urlsplit(self._system.hes.url).netloc, timeout=limit_s)
        try:
            connection.request("POST", "/cim", request.octets, HEADERS)
            return connection.getresponse().read()
        except http.client.IncompleteRead as broken:
            return broken.partial
        finally:
            connection.close()

    def values(self, meters: list[str]) -> list[str]:
        """Whatever is between `<value>` and `</`."""
        return VALUE.findall(self.post(self.reading(meters)).decode())

    def says_ok(self, meters: list[str]) -> bool:
        """No Error was found in the namespace that it knows."""
        return not list(etree.fromstring(self.post(self.reading(meters))).iter(CODE))

    def switched(self, meter: str, limit_s: float) -> bool:
        """No answer in time: it was not done."""
        try:
            self.post(self.switching([meter]), limit_s)
        except TimeoutError:
            return False
        return True

    def switched_for_sure(self, meter: str) -> int:
        """Asks until the status is 200, at once and under a new MessageID each time; how often."""
        for attempt in range(1, 10):
            asked = urllib.request.Request(
                f"{self._system.hes.url}/cim", self.switching([meter]).octets, HEADERS, method="POST"
            )
            try:
                urllib.request.urlopen(asked, timeout=PATIENCE_S).close()
                return attempt
            except urllib.error.HTTPError as problem:
                problem.close()
        raise AssertionError("it was never answered 200")

    def over_any_tls(self) -> int:
        """No certificate is looked at; the status."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        asked = urllib.request.Request(f"{self._system.hes.url}/cim", self.reading(["M1001"]).octets, HEADERS)
        with urllib.request.urlopen(asked, timeout=PATIENCE_S, context=context) as answer:
            return int(answer.status)

    # --- what it asks

    def reading(self, meters: list[str], *, later: bool = False) -> Message:
        return self._system.hes.reading(meters, later=later, message_id=str(uuid.uuid4()))

    def switching(self, meters: list[str], *, later: bool = False) -> Message:
        return self._system.hes.order("disconnect", meters, later=later, message_id=str(uuid.uuid4()))
