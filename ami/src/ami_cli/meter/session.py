"""How a session with a meter begins and ends: the public client first where it has something to contribute, then the association.

The procedure is the protocol core's (`ami_dlms.association.client.session`); here its steps meet a blocking link, a file of counters
and the words for a person.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from ami_cli.meter.client import Association, ConnectionBroken, CounterRefused, ReservedCounter
from ami_cli.meter.counters import CounterFile
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.link import Link, SerialLink, open_link
from ami_cli.meter.options import MeterTarget, WantedAssociation
from ami_cli.meter.sign_on import sign_on
from ami_cli.meter.trace import Trace
from ami_cli.meter.values import text_of_octets
from ami_dlms.association import ClientSettings, Opened
from ami_dlms.association.client.session import (
    PUBLIC_CLIENT,
    CountFrom,
    Identify,
    OpeningStep,
    OpenManagement,
    OpenPublic,
    PublicReads,
    ReadPublic,
    Reconnect,
    ReleasePublic,
    Trouble,
    Visit,
    count_of,
    opening,
)
from ami_dlms.association.client.steps import run
from ami_dlms.data import Data

WITHOUT_PUBLIC = (ExitCode.NO_ASSOCIATION, ExitCode.REFUSED, ExitCode.NO_ANSWER)
"""How it looks when a meter has no public client, or not this object for it."""
Ask = Callable[[Association], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnvironment:
    """What a session needs of the machine: randomness, a place for lines that are no result, and time to wait."""

    random_bytes: Callable[[int], bytes]
    report: Callable[[str], None]
    pause: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Session:
    """An open association with a meter; `reopen` puts a new one in its place, over a new connection."""

    target: MeterTarget
    association: Association
    opened: Opened
    title: bytes | None
    open_anew: Callable[[], tuple[Association, Opened]]

    def reopen(self) -> None:
        """As it was opened first, without asking the public client again; MeterError when the meter does not come back."""
        self.association, self.opened = self.open_anew()


@contextmanager
def connected(
    target: MeterTarget, environment: SessionEnvironment, *, server: int | None = None, ask_public: Ask | None = None
) -> Iterator[Session]:
    """The association that the target describes, open; `ask_public` is called with the public one while that is open.

    `server` replaces the target's own logical device.
    """
    opening = _Opening(target, environment, server)
    try:
        session = opening.open(ask_public)
        yield session
        session.association.release()
    finally:
        opening.close()


class _Opening:
    """The steps of opening, and what has to be given back at the end."""

    def __init__(self, target: MeterTarget, environment: SessionEnvironment, server: int | None) -> None:
        self._target = target
        self._environment = environment
        self._server = target.identity.server if server is None else server
        self._trace = Trace(environment.report) if target.verbose else None
        self._file = CounterFile(target.counters)
        self._link: Link | None = None
        self._reserved: ReservedCounter | None = None
        self._title: bytes | None = None
        self._ask: Ask | None = None
        self._settings: ClientSettings
        self._public: Association
        self._opened: tuple[Association, Opened]

    def open(self, ask_public: Ask | None) -> Session:
        identity = self._target.identity
        if identity.titled:
            self._title = identity.title or self._file.own_title(self._environment.random_bytes(8))
        settings = identity.settings(self._title, self._server, self._environment.random_bytes)
        self._settings, self._ask = settings, ask_public
        run(opening(self._wanted(), self._sense), self._perform)
        association, opened = self._opened
        return Session(self._target, association, opened, self._title, partial(self._open_anew, settings))

    def _wanted(self) -> PublicReads:
        """What the public client has to be asked; nothing when we are the public client ourselves."""
        identity = self._target.identity
        if identity.client == PUBLIC_CLIENT or not identity.public_client:
            return PublicReads()
        counted = identity.keyed and identity.invocation_counter is None
        return PublicReads(
            name=bool(self._target.device_name) and self._server == identity.server,
            counter=identity.counter_object if counted else None,
            visit=self._ask is not None,
        )

    def _perform(self, step: OpeningStep) -> object:
        match step:
            case OpenPublic() | ReadPublic():
                return self._over_public(step)
            case Identify(name):
                self._compare(text_of_octets(name))
            case CountFrom(value):
                return _count(value, self._target.identity)
            case Visit():
                if self._ask is not None:
                    self._ask(self._public)
            case ReleasePublic():
                self._public.release()
            case Reconnect():
                self._hang_up()
            case OpenManagement(at_least):
                self._reserve_from(at_least)
                self._opened = self._secure(self._settings)
        return None

    def _sense(self, error: Exception) -> Trouble | int:
        """A counter that a person has given is not exchanged for another."""
        if isinstance(error, CounterRefused) and self._target.identity.invocation_counter is None:
            return error.expected
        return Trouble.LOST if isinstance(error, ConnectionBroken) else Trouble.OTHER

    def _reserve_from(self, at_least: int) -> None:
        """Have invocation counters from here on, where the association needs them."""
        identity = self._target.identity
        if self._title is None or not identity.keyed:
            return
        if self._reserved is not None and self._reserved.counter.next_value < at_least:
            self._reserved.give_back()
            self._reserved = None
        if self._reserved is None:
            self._reserved = self._reserve(identity, self._title, at_least)

    def _over_public(self, step: OpenPublic | ReadPublic) -> Data | None:
        try:
            if isinstance(step, ReadPublic):
                return self._public.get(step.descriptor)
            self._public = self._public_association()
            self._public.open(f"opening the public association with {self._target}")
        except MeterError as error:
            if self._wanted().counter and error.code in WITHOUT_PUBLIC:
                raise _without_counter(error) from None
            raise
        return None

    def _open_anew(self, settings: ClientSettings) -> tuple[Association, Opened]:
        self._hang_up()
        return self._secure(settings)

    def close(self) -> None:
        self._hang_up()
        if self._reserved is not None:
            self._reserved.give_back()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _wire(self) -> Link:
        if self._link is None:
            reach = self._target.reach
            self._link = open_link(reach)
            if reach.mode_e and isinstance(self._link, SerialLink):
                sign_on(self._link, reach.baud, reach.timeout_s, self._environment.pause)
        return self._link

    def _reserve(self, identity: WantedAssociation, title: bytes, at_least: int) -> ReservedCounter:
        name = f"{identity.key_id}/{title.hex().upper()}"
        given = identity.invocation_counter
        counter = self._file.reserve(name, at_least if given is None else given, exactly=given is not None)
        return ReservedCounter(self._file, name, counter)

    def _secure(self, settings: ClientSettings) -> tuple[Association, Opened]:
        identity, random_bytes = self._target.identity, self._environment.random_bytes
        association = Association(
            self._wire(),
            self._target.reach,
            settings,
            challenge=random_bytes(identity.challenge_octets),
            dedicated_key=identity.dedicated(random_bytes),
            reserved=self._reserved,
            trace=self._trace,
            report=self._environment.report,
            object_list=identity.object_list,
        )
        return association, association.open(f"opening the association with {self._target}")

    def _public_association(self) -> Association:
        identity = self._target.identity
        return Association(
            self._wire(),
            self._target.reach,
            identity.public_settings(self._server),
            trace=self._trace,
            report=self._environment.report,
            object_list=identity.object_list,
        )

    def _compare(self, found: str) -> None:
        if found != self._target.device_name:
            raise MeterError(
                ExitCode.NOT_TRUSTED,
                f"another meter answers: the registry says {self._target.device_name}, the meter says {found}",
                where=str(self._target),
                hint="mend the address or the entry; no key has been used",
            )


def _count(value: Data, identity: WantedAssociation) -> int:
    count = count_of(value)
    if count is None:
        raise MeterError(
            ExitCode.NOT_UNDERSTOOD, "the invocation counter is no number", where=str(identity.counter_object)
        )
    return count


def _without_counter(error: MeterError) -> MeterError:
    hint = "if it has no public client, or the counter elsewhere: --counter-object OBIS, or --invocation-counter N"
    return MeterError(error.code, error.what, where=error.where, hint=hint)
