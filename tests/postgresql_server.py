"""A PostgreSQL server of the test process's own: made when the first test wants it, gone with the process, never written to disk.

It listens on a socket in a directory of its own (trusted) and at a free port of the loopback (with a password). Tests share
the server and one database; each has a schema of it to itself, which its URL chooses by `search_path`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from free_ports import free_port
from nats_server import drain
from patience import PATIENCE_S
from sqlalchemy import make_url, text

from ami_process.store.places import Place, engine_of
from ami_process.store.postgresql import Server

USER, PASSWORD = "postgres", "sesame of the tests"
FOR_TESTS = ("fsync=off", "full_page_writes=off", "max_connections=40", "shared_buffers=16MB")


def program(name: str) -> str:
    """Where a program of the server is; Debian keeps them out of the search path."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    return str(beside[-1]) if beside else shutil.which(name) or name


def as_user(*command: str) -> list[str]:
    """Neither initdb nor a server runs as root."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", *command]


def location(place: Place) -> str:
    """What a configuration says of it."""
    return str(place) if isinstance(place, Path) else place.url.render_as_string()


def rows(place: Place, query: str) -> list[tuple[object, ...]]:
    """What another program than the one that holds the store finds there."""
    engine = engine_of(place)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        engine.dispose()


@dataclass
class Cluster:
    """A server that can be stopped and started again."""

    directory: Path
    port: int
    settings: tuple[str, ...] = FOR_TESTS
    process: subprocess.Popen[str] | None = None
    schemas: Iterator[int] = field(default_factory=count)

    @property
    def socket(self) -> Path:
        return self.directory / "socket"

    def start(self) -> None:
        """Returns when it takes connections."""
        options = [
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            f"unix_socket_directories={self.socket}",
            *self.settings,
        ]
        line = as_user(
            program("postgres"), "-D", str(self.directory / "data"), *(word for one in options for word in ("-c", one))
        )
        self.process = subprocess.Popen(line, cwd="/", stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = []
        for said_line in self.process.stderr:
            said.append(said_line)
            if "database system is ready to accept connections" in said_line:
                drain(self.process.stderr)
                return
        raise AssertionError("".join(said))

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """At once, as after a failure of power, so far as connections can tell."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE_S)
            self.process = None

    def url(self, schema: str) -> str:
        """By the socket, where no password is asked for."""
        return f"postgresql://{USER}@/postgres?host={self.socket}&port={self.port}&options=-csearch_path%3D{schema}"

    def url_with_password(self, schema: str) -> str:
        """By TCP; the password itself is not in it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres?options=-csearch_path%3D{schema}"

    @property
    def variables(self) -> dict[str, str]:
        """By which libpq and its programs find it, by TCP."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": USER, "PGPASSWORD": PASSWORD}

    def new_schema(self) -> str:
        """An empty one, by its name."""
        name = f"t{next(self.schemas)}"
        self.run(f"CREATE SCHEMA {name}")
        return name

    def new_place(self) -> Server:
        """A store that is empty."""
        return Server(make_url(self.url(self.new_schema())))

    def load(self, dump: Path) -> Server:
        """A store as it is in a file of SQL, one statement after the other."""
        place = self.new_place()
        engine = place.engine()
        with engine.begin() as connection:
            for statement in dump.read_text("utf-8").split(";\n")[:-1]:
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        engine.dispose()
        return place

    def cut(self, place: Server) -> None:
        """End the connection that holds the HES's store at this place, as a network that fails."""
        schema = str(place.url.query["options"]).removeprefix("-csearch_path=")
        lock = f"hashtextextended('ami hes {schema}', 0)"
        ended = self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            f" AND (classid::bigint << 32) + objid::bigint = {lock}"
        )
        assert ended == [(True,)]

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """In a transaction beside those of any store; schemas have to be named in it."""
        engine = Server(make_url(self.url("public"))).engine()
        try:
            with engine.begin() as connection:
                done = connection.execute(text(statement))
                return [tuple(row) for row in done] if done.returns_rows else []
        finally:
            engine.dispose()


@contextmanager
def cluster(template: Path, settings: tuple[str, ...] = FOR_TESTS) -> Iterator[Cluster]:
    """A new one, started; a copy of the template, which the first of several test processes makes."""
    with tempfile.TemporaryDirectory(prefix="ami-pg-", dir="/tmp") as name:  # a path of a socket has to be short
        directory = Path(name)
        directory.chmod(0o755)
        with Path(f"{template}.lock").open("ab") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            if not template.exists():
                _initialise(directory / "new")
                shutil.move(directory / "new", template)
        shutil.copytree(template, directory / "data")
        (directory / "socket").mkdir()
        for path in (directory / "socket", directory / "data", *(directory / "data").rglob("*")):
            _give(path)
        one = Cluster(directory, free_port(), settings)
        one.start()
        try:
            yield one
        finally:
            one.stop()


def _give(path: Path) -> None:
    """To the user of the server, whatever rights this process gives to what it makes."""
    if os.geteuid() == 0:
        shutil.chown(path, USER, USER)


def _initialise(data: Path) -> None:
    password = data.with_name("password")
    password.write_text(PASSWORD)
    data.mkdir(mode=0o700)
    for path in (password, data):
        _give(path)
    access = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"]
    line = [program("initdb"), "--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "-U", USER, *access]
    made = subprocess.run(as_user(*line, "-D", str(data)), cwd="/", capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
