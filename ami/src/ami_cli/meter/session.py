"""How a session with a meter begins and ends: the public client first where it has something to tell, then the association.

The public client (16, no security) tells the invocation counter and, for a meter of a registry, who answers at all, before
any key is used (docs/adr/0003). Some meters hang up after a release; they are called once more.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from ami_cli.meter.client import Association, Broken, Supply
from ami_cli.meter.counters import CounterFile
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.link import Link, SerialLink, open_link
from ami_cli.meter.options import PUBLIC_CLIENT, Identity, Target
from ami_cli.meter.sign_on import sign_on
from ami_cli.meter.trace import Trace
from ami_cli.meter.values import text_of_octets
from ami_dlms.association import ClientSettings, Opened
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.obis import Obis

VALUE = 2
LOGICAL_DEVICE_NAME = AttributeDescriptor(1, Obis.parse("0-0:42.0.0*255"), VALUE)

Ask = Callable[[Association], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a session needs of the machine: randomness, a place for lines that are no result, and time to wait."""

    random_bytes: Callable[[int], bytes]
    tell: Callable[[str], None]
    pause: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Session:
    """An open association with a meter; `reopen` puts a new one in its place, over a new connection."""

    target: Target
    association: Association
    opened: Opened
    title: bytes | None
    open_anew: Callable[[], tuple[Association, Opened]]

    def reopen(self) -> None:
        """As it was opened first, without asking the public client again; MeterError when the meter does not come back."""
        self.association, self.opened = self.open_anew()


@contextmanager
def connected(
    target: Target, around: Surroundings, *, server: int | None = None, ask_public: Ask | None = None
) -> Iterator[Session]:
    """The association that the target describes, open; `ask_public` is called with the public one while that is open.

    `server` stands in for the target's own logical device.
    """
    opening = _Opening(target, around, server)
    try:
        session = opening.open(ask_public)
        yield session
        session.association.release()
    finally:
        opening.close()


class _Opening:
    """The steps of opening, and what has to be given back at the end."""

    def __init__(self, target: Target, around: Surroundings, server: int | None) -> None:
        self._target = target
        self._around = around
        self._server = target.identity.server if server is None else server
        self._trace = Trace(around.tell) if target.verbose else None
        self._file = CounterFile(target.counters)
        self._link: Link | None = None
        self._supply: Supply | None = None
        self._asked = False

    def open(self, ask_public: Ask | None) -> Session:
        identity = self._target.identity
        title = None
        if identity.titled:
            title = identity.title or self._file.own_title(self._around.random_bytes(8))
        settings = identity.settings(title, self._server, self._around.random_bytes)
        at_least = self._ask_public(ask_public)
        if title is not None and identity.keyed:
            self._supply = self._reserve(identity, title, at_least)
        try:
            association, opened = self._secure(settings)
        except Broken:
            if not self._asked:
                raise
            self._hang_up()
            association, opened = self._secure(settings)
        return Session(self._target, association, opened, title, partial(self._open_anew, settings))

    def _open_anew(self, settings: ClientSettings) -> tuple[Association, Opened]:
        self._hang_up()
        return self._secure(settings)

    def close(self) -> None:
        self._hang_up()
        if self._supply is not None:
            self._supply.give_back()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _wire(self) -> Link:
        if self._link is None:
            reach = self._target.reach
            self._link = open_link(reach)
            if reach.mode_e and isinstance(self._link, SerialLink):
                sign_on(self._link, reach.baud, reach.timeout_s, self._around.pause)
        return self._link

    def _reserve(self, identity: Identity, title: bytes, at_least: int) -> Supply:
        name = f"{identity.key_id}/{title.hex().upper()}"
        given = identity.invocation_counter
        counter = self._file.reserve(name, at_least if given is None else given, exactly=given is not None)
        return Supply(self._file, name, counter)

    def _secure(self, settings: ClientSettings) -> tuple[Association, Opened]:
        identity, random_bytes = self._target.identity, self._around.random_bytes
        association = Association(
            self._wire(),
            self._target.reach,
            settings,
            challenge=random_bytes(identity.challenge_octets),
            dedicated_key=identity.dedicated(random_bytes),
            supply=self._supply,
            trace=self._trace,
            tell=self._around.tell,
            object_list=identity.object_list,
        )
        return association, association.open(f"opening the association with {self._target}")

    def _ask_public(self, ask: Ask | None) -> int:
        """The lowest invocation counter that the meter will take; 0 when nobody had to be asked."""
        target, identity = self._target, self._target.identity
        counted = identity.keyed and identity.invocation_counter is None
        named = bool(target.device_name) and self._server == identity.server
        if identity.client == PUBLIC_CLIENT or not (counted or named or ask):
            return 0
        settings = identity.public_settings(self._server)
        public = Association(
            self._wire(),
            target.reach,
            settings,
            trace=self._trace,
            tell=self._around.tell,
            object_list=identity.object_list,
        )
        try:
            public.open(f"opening the public association with {target}")
            if named:
                self._compare(public)
            at_least = _counter(public, identity) + 1 if counted else 0
        except MeterError as error:
            if not counted and not named:
                self._hang_up()
                return 0
            if counted and error.code in (ExitCode.NO_ASSOCIATION, ExitCode.REFUSED, ExitCode.NO_ANSWER):
                raise _without_counter(error) from None
            raise
        if ask is not None:
            ask(public)
        public.release()
        self._asked = True
        return at_least

    def _compare(self, public: Association) -> None:
        found = text_of_octets(public.get(LOGICAL_DEVICE_NAME))
        if found != self._target.device_name:
            raise MeterError(
                ExitCode.NOT_TRUSTED,
                f"another meter answers: the registry says {self._target.device_name}, the meter says {found}",
                where=str(self._target),
                hint="mend the address or the entry; no key has been used",
            )


def _counter(public: Association, identity: Identity) -> int:
    value = public.get(AttributeDescriptor(1, identity.counter_object, VALUE)).value
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MeterError(
            ExitCode.NOT_UNDERSTOOD, "the invocation counter is no number", where=str(identity.counter_object)
        )
    return value


def _without_counter(error: MeterError) -> MeterError:
    hint = "if it has no public client, or the counter elsewhere: --counter-object OBIS, or --invocation-counter N"
    return MeterError(error.code, error.what, where=error.where, hint=hint)
