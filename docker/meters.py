"""Run the meters that have no container of their own: those of METERS beyond the first two.

Compose cannot compute with numbers, so this does. With METERS=2 there is nothing to run; the container then waits to be
stopped, since one that ends would count as failed for `docker compose up --wait`.
"""

import os
import signal
import socket
import sys
import tomllib
from pathlib import Path

OWN_CONTAINERS = 2
HOST, PORT = "meters-south", 4059
"""Where they listen: the name that docker-compose.yml gives this container on the network of the HES."""


def main(arguments: list[str]) -> None:
    """Become the simulator of those meters, or wait; with --check, fail if they do not listen."""
    if arguments == ["--check"]:
        if number() > OWN_CONTAINERS:
            socket.create_connection((HOST, PORT), 3).close()
        return
    (configuration,) = arguments
    names = [meter["name"] for meter in tomllib.loads(Path(configuration).read_text("utf-8"))["meters"]]
    most = OWN_CONTAINERS + len(names)
    if not 1 <= number() <= most:
        sys.exit(f"METERS={os.environ['METERS']}: the configuration in config/docker has 1 to {most} meters")
    chosen = [part for name in names[: max(number() - OWN_CONTAINERS, 0)] for part in ("--meter", name)]
    if chosen:
        os.execv(sys.executable, [sys.executable, "-m", "ami_meter_sim", "serve", "--config", configuration, *chosen])  # noqa: S606
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(
        signal.SIG_BLOCK, ends
    )  # process 1 of a container never gets a signal that it neither blocks nor handles
    signal.sigwait(ends)


def number() -> int:
    """How many meters there shall be."""
    given = os.environ.get("METERS") or str(OWN_CONTAINERS)
    if not given.isdecimal():
        sys.exit(f"METERS={given}: a number is wanted")
    return int(given)


if __name__ == "__main__":
    main(sys.argv[1:])
