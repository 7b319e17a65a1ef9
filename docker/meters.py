"""Run the meters that have no container of their own: all but the first two of the configuration, up to AMI_METERS.

Compose cannot compute with numbers, so this does. With AMI_METERS=2 there is nothing to run; the container then waits to
be stopped, since one that ends would count as failed for `docker compose up --wait`.
"""

import os
import signal
import socket
import sys
import tomllib
from pathlib import Path

OWN_CONTAINERS = 2
PORT = 4059


def main(arguments: list[str]) -> None:
    """Become the simulator of those meters, or wait; with --check, fail if they do not listen."""
    count = int(os.environ.get("AMI_METERS") or OWN_CONTAINERS)
    if arguments == ["--check"]:
        if count > OWN_CONTAINERS:
            socket.create_connection((socket.gethostname(), PORT), 3).close()
        return
    (configuration,) = arguments
    meters = tomllib.loads(Path(configuration).read_text("utf-8"))["meters"]
    chosen = [part for meter in meters[OWN_CONTAINERS:count] for part in ("--meter", meter["name"])]
    if chosen:
        os.execv(sys.executable, [sys.executable, "-m", "meter_sim", "--config", configuration, *chosen])  # noqa: S606
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(
        signal.SIG_BLOCK, ends
    )  # process 1 of a container never gets a signal that it neither blocks nor handles
    signal.sigwait(ends)


if __name__ == "__main__":
    main(sys.argv[1:])
