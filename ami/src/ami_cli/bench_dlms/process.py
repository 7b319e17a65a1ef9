"""One side of the round trips in a process of its own: `python -m ami_cli.bench_dlms.process JSON`.

{"serve": "meter", "driver": "asyncio", "connections": 100} prints its port and serves.
{"ask": "meter", "driver": ..., "port": ..., "connections": ..., "warm_up_s": ..., "seconds": ...} prints what it counted.
"""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import asdict

from ami_cli.bench_dlms.ends import ANSWERING, ASKING
from ami_cli.bench_dlms.socket_drivers import Load, ask, serve


def main() -> None:
    """Do what the only argument says."""
    given = json.loads(sys.argv[1])
    if "serve" in given:
        with socket.create_server(("127.0.0.1", 0), backlog=given["connections"]) as listener:
            _say({"port": listener.getsockname()[1]})
            serve(given["driver"], listener, ANSWERING[given["serve"]], given["connections"])
        return
    load = Load(given["port"], given["connections"], given["warm_up_s"], given["seconds"])
    _say(asdict(ask(given["driver"], ASKING[given["ask"]], load)))


def _say(said: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
