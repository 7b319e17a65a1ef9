"""A process for the demo's tests that prints what it is told to print, and behaves as it is told to behave.

The script is a JSON list: an object with "event" is printed; {"do": "stay"} waits for SIGTERM and ends well, {"do": "stubborn"}
does not listen to SIGTERM, {"do": "exit", "code": 3} ends, {"do": "complain", "text": ...} writes to standard error,
{"do": "hold", "port": n} keeps a connection open as long as the process lives, {"do": "say", "text": ...} prints no JSON.
"""

import json
import signal
import socket
import sys
import threading

STOP = threading.Event()
HELD = []


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    for part in json.loads(sys.argv[1]):
        if "event" in part:
            print(json.dumps(part), flush=True)
        else:
            act(part)


def act(part: dict[str, object]) -> None:
    match part["do"]:
        case "stay":
            STOP.wait()
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print(json.dumps({"event": "stubborn"}), flush=True)
            threading.Event().wait()
        case "exit":
            sys.exit(int(str(part["code"])))
        case "complain":
            print(part["text"], file=sys.stderr, flush=True)
        case "say":
            print(part["text"], flush=True)
        case "hold":
            HELD.append(socket.create_connection(("127.0.0.1", int(str(part["port"])))))


if __name__ == "__main__":
    main()
