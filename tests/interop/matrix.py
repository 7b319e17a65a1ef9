"""The sessions between us and foreign stacks, one Row each, and what is known not to work because of a peer.

A `Cannot` names a service that a peer is asked for and is known to fail in, with the words of its failure: the row is played
all the same, and when the peer fails in another way, or not any more, the row fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SERVER, METER, CLIENT = "server", "simulated meter", "client"
GURUX_CLIENT, COSEM_CLIENT, GURUX_METER = "gurux-dlms client", "dlms-cosem client", "gurux-dlms meter"
SERVICES = (
    "open",
    "GET",
    "long GET",
    "by range",
    "by entry",
    "GET list",
    "SET",
    "long SET",
    "SET list",
    "ACTION",
    "ACCESS",
    "release",
)
WITH_TAGS_OF_THEIR_OWN = tuple(service for service in SERVICES if service != "ACCESS")
"""ACCESS is ciphered in general-glo and general-ded alone."""
MECHANISMS = ("none", "LLS", "HLS 2", "HLS 3 MD5", "HLS 4 SHA-1", "HLS 5 GMAC", "HLS 6 SHA-256")
GMAC, ECDSA = "HLS 5 GMAC", "HLS 7 ECDSA"
DIGESTS = ("HLS 2", "HLS 3 MD5", "HLS 4 SHA-1", "HLS 6 SHA-256")
GLOBAL, DEDICATED = ("general-glo", "glo-*"), ("general-ded", "ded-*")
PARTS = ("authenticated", "encrypted", "both")
SMALL, LARGE = 256, 65535
WRAPPER, UDP, HDLC = "wrapper", "wrapper/UDP", "HDLC"


@dataclass(frozen=True, slots=True)
class Cannot:
    """Why one service can't pass: words of the outcome that is seen, and what they mean."""

    service: str
    seen: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One session; `ours` is what we are in it, `window` that of general block transfer (0: blocks of the services).

    `model` is that of a simulated meter.
    """

    ours: str
    peer: str
    mechanism: str
    framing: str = WRAPPER
    model: str = "-"
    names: str = "LN"
    window: int = 0
    suite: int = 0
    policy: str = "none"
    ciphering: str = "none"
    pdu_size: int = SMALL
    services: tuple[str, ...] = SERVICES
    cannot: tuple[Cannot, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """What tells rows apart; the first cells of the row in the table."""
        suite = "-" if self.policy == "none" else str(self.suite)
        blocks = f"general, {self.window}" if self.window else "service"
        travel = (self.framing, self.names, blocks, str(self.pdu_size))
        return (self.ours, self.model, self.peer, *travel, self.mechanism, suite, self.ciphering, self.policy)

    @property
    def name(self) -> str:
        """For people and test runners."""
        return ", ".join(self.key)


SET_BLOCKS = Cannot(
    "long SET",
    "PDU is too long",
    "gurux-dlms leaves the head of general-glo and general-ded (10 octets) out when it cuts a SET into blocks: with a tag on top"
    " its APDUs have 263 octets where 256 were agreed, and our server refuses them. Without a tag, or with glo-* and ded-*, they fit.",
)
P_384 = Cannot(
    "open",
    "Invalid private key scheme",
    "gurux-dlms asks twice for P-256 where the second time P-384 is meant: it can neither sign nor verify in suite 2.",
)
GENERAL_BLOCKS = Cannot(
    "long SET",
    "PDU is too long",
    "gurux-dlms counts the octets around a block of general-block-transfer one too few: its APDUs have 257 octets where 256 were"
    " agreed, and our server refuses them.",
)
NAMED_PROOF = Cannot(
    "open",
    "Operation not possible",
    "gurux-dlms calls methods by short names with a Write, whose answer has no room for the proof of the server; the standard calls"
    " them with a Read.",
)
NAMED_CIPHERING = Cannot(
    "open",
    "AssertionError",
    "gurux-dlms stops at a check of its own when it ciphers a request with short names.",
)
NAMED_BLOCKS = (
    Cannot(
        "long GET",
        "setTotalCount",
        "gurux-dlms calls a function that it does not have when an answer by short names comes in blocks.",
    ),
    Cannot(
        "long SET",
        "error 250",
        "gurux-dlms sends only the head of a value when it cuts a Write into blocks; our server does not take it for the value.",
    ),
)


def too_long(ciphering: str, policy: str, size: int) -> tuple[Cannot, ...]:
    """The one thing in which gurux-dlms fails over general ciphering."""
    general = ciphering in ("general-glo", "general-ded")
    return (SET_BLOCKS,) if general and policy in ("authenticated", "both") and size == SMALL else ()


def rows() -> tuple[Row, ...]:
    """All of them, in the order of the table."""
    return (
        *gurux_client(),
        *gurux_client_in_suites_1_and_2(),
        *gurux_client_with_short_names(),
        *gurux_client_with_general_blocks(),
        *gurux_client_over_hdlc(),
        *gurux_client_to_a_meter(),
        *gurux_client_to_every_model(),
        *gurux_client_to_a_meter_with_short_names(),
        *cosem_client(),
        *gurux_meter(),
    )


def gurux_client() -> Iterator[Row]:
    for mechanism in MECHANISMS:
        for size in (SMALL, LARGE):
            yield Row(ours=SERVER, peer=GURUX_CLIENT, mechanism=mechanism, pdu_size=size)
    for mechanism in MECHANISMS:
        for ciphering in GLOBAL if mechanism != GMAC else ():
            yield from ciphered(mechanism, ciphering)
    for size in (SMALL, LARGE):
        for policy in PARTS:
            for ciphering in (*GLOBAL, *DEDICATED):
                yield from ciphered(GMAC, ciphering, policy=policy, pdu_size=size)


def ciphered(mechanism: str, ciphering: str, policy: str = "both", pdu_size: int = SMALL, **more: Any) -> Iterator[Row]:
    given: dict[str, Any] = {
        "ours": SERVER,
        "peer": GURUX_CLIENT,
        "mechanism": mechanism,
        "ciphering": ciphering,
        "policy": policy,
        "pdu_size": pdu_size,
        "services": SERVICES if ciphering.startswith("general") else WITH_TAGS_OF_THEIR_OWN,
        "cannot": too_long(ciphering, policy, pdu_size),
    }
    yield Row(**(given | more))


def gurux_client_in_suites_1_and_2() -> Iterator[Row]:
    for ciphering in GLOBAL:
        for mechanism in (GMAC, ECDSA):
            yield from ciphered(mechanism, ciphering, suite=1)
        yield from ciphered(GMAC, ciphering, suite=2)
    yield from ciphered(ECDSA, "glo-*", suite=2, services=("open",), cannot=(P_384,))


NAMED_SERVICES = tuple(service for service in SERVICES if service not in ("SET list", "ACTION", "ACCESS"))


def gurux_client_with_short_names() -> Iterator[Row]:
    by_name: dict[str, Any] = {"ours": SERVER, "peer": GURUX_CLIENT, "names": "SN"}
    for mechanism in ("none", "LLS"):
        yield Row(**by_name, mechanism=mechanism, services=NAMED_SERVICES, cannot=NAMED_BLOCKS)
        yield Row(**by_name, mechanism=mechanism, services=NAMED_SERVICES, pdu_size=LARGE)
    yield Row(**by_name, mechanism=GMAC, services=("open",), cannot=(NAMED_PROOF,))
    for ciphering in GLOBAL:
        yield from ciphered(GMAC, ciphering, names="SN", services=("open",), cannot=(NAMED_CIPHERING,))


def gurux_client_with_general_blocks() -> Iterator[Row]:
    for window in (1, 3):
        yield Row(ours=SERVER, peer=GURUX_CLIENT, mechanism="none", window=window, cannot=(GENERAL_BLOCKS,))
        yield from ciphered(GMAC, "general-glo", window=window, cannot=(GENERAL_BLOCKS,))


def gurux_client_over_hdlc() -> Iterator[Row]:
    over: dict[str, Any] = {"ours": SERVER, "peer": GURUX_CLIENT, "framing": HDLC}
    yield Row(**over, mechanism="none")
    yield Row(**over, mechanism="LLS")
    for size in (SMALL, LARGE):
        for ciphering in GLOBAL:
            excused = too_long(ciphering, "both", size)
            # the frames of all blocks are numbered before the first is sent: after a refusal the link is out of step
            left_out = (
                {"services": tuple(one for one in SERVICES if one != "long SET"), "cannot": ()} if excused else {}
            )
            yield from ciphered(GMAC, ciphering, pdu_size=size, framing=HDLC, **left_out)


METER_SERVICES = tuple(service for service in SERVICES if service not in ("long SET", "SET list"))
"""A simulated meter has nothing long, and no two octet-strings, that a client may write."""


def gurux_client_to_a_meter() -> Iterator[Row]:
    yield from to_a_meter(GURUX_CLIENT, METER_SERVICES, (*GLOBAL, *DEDICATED))


def to_a_meter(peer: str, services: tuple[str, ...], cipherings: tuple[str, ...]) -> Iterator[Row]:
    for size in (SMALL, LARGE):
        common: dict[str, Any] = {"ours": METER, "model": "residential", "peer": peer, "pdu_size": size}
        yield Row(**common, mechanism="none", services=services)
        yield Row(**common, mechanism="LLS", services=services)
        for ciphering in cipherings:
            kept = services if ciphering.startswith("general") else WITH_TAGS_OF_THEIR_OWN
            served = tuple(service for service in services if service in kept)
            yield Row(**common, mechanism=GMAC, policy="both", ciphering=ciphering, services=served)


MODELS = ("single-phase", "three-phase", "three-phase-ct", "prosumer", "minimal", "gas-submeter", "residential")
WITHOUT_SWITCH = ("three-phase-ct", "minimal")


def gurux_client_to_every_model() -> Iterator[Row]:
    for model in MODELS:
        for framing in (WRAPPER, UDP, HDLC):
            if (model, framing) != ("residential", WRAPPER):
                yield to_a_model(model, GURUX_CLIENT, METER_SERVICES, framing)


def to_a_model(model: str, peer: str, services: tuple[str, ...], framing: str = WRAPPER) -> Row:
    """Ciphered, and without blocks: how these travel does not depend on the model."""
    served = tuple(service for service in services if service != "ACTION" or model not in WITHOUT_SWITCH)
    ciphered: dict[str, Any] = {"mechanism": GMAC, "policy": "both", "ciphering": "general-glo", "pdu_size": LARGE}
    return Row(ours=METER, model=model, peer=peer, framing=framing, services=served, **ciphered)


def gurux_client_to_a_meter_with_short_names() -> Iterator[Row]:
    """What this peer can do with short names at all."""
    served = tuple(service for service in NAMED_SERVICES if service in METER_SERVICES)
    for framing in (WRAPPER, UDP, HDLC):
        for mechanism in ("none", "LLS"):
            by_name: dict[str, Any] = {"ours": METER, "model": "short-names", "names": "SN", "pdu_size": LARGE}
            yield Row(**by_name, peer=GURUX_CLIENT, framing=framing, mechanism=mechanism, services=served)


COSEM_SERVICES = ("open", "GET", "long GET", "by range", "GET list", "SET", "ACTION", "release")


def cosem_client() -> Iterator[Row]:
    for size in (SMALL, LARGE):
        common: dict[str, Any] = {"ours": SERVER, "peer": COSEM_CLIENT, "pdu_size": size, "services": COSEM_SERVICES}
        yield Row(**common, mechanism="none")
        yield Row(**common, mechanism="LLS")
        for mechanism in ("none", "LLS", GMAC):
            yield Row(**common, mechanism=mechanism, policy="both", ciphering="general-glo")
    services = tuple(service for service in COSEM_SERVICES if service in METER_SERVICES)
    yield from to_a_meter(COSEM_CLIENT, services, ("general-glo",))
    for model in MODELS[:-1]:
        yield to_a_model(model, COSEM_CLIENT, services)


GURUX_METER_SERVICES = ("open", "GET", "long GET", "SET", "ACTION", "release")


def gurux_meter() -> Iterator[Row]:
    for size in (SMALL, LARGE):
        common: dict[str, Any] = {
            "ours": CLIENT,
            "peer": GURUX_METER,
            "pdu_size": size,
            "services": GURUX_METER_SERVICES,
        }
        for mechanism in MECHANISMS:
            yield Row(**common, mechanism=mechanism)
        for mechanism in DIGESTS:
            yield Row(**common, mechanism=mechanism, policy="both", ciphering="general-glo")
        for mechanism in ("none", "LLS", GMAC):
            for policy in PARTS if size == SMALL else ("both",):
                for ciphering in GLOBAL:
                    yield Row(**common, mechanism=mechanism, policy=policy, ciphering=ciphering)
