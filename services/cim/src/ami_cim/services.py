"""The typed services of the nouns: their operations, names and addresses follow from the rows of `NOUNS`.

A head-end offers `Execute{Noun}` (transactions), `Get{Noun}` (a query) and `Execute{Noun}OperationSet` (several of them in one message);
who has sent a request hosts `Reply{Noun}`, and who takes events by themselves `Receive{Noun}`. Beside them is the generic service, which takes any verb and noun."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ami_cim import ns
from ami_cim.codes import Verb
from ami_cim.errors import LocalError
from ami_cim.nouns import NOUNS, Noun

GENERIC_PATH = "/cim"
GENERIC = "Generic"
"""The WSDL of the generic service."""


@dataclass(frozen=True, slots=True)
class Service:
    """One WSDL of a noun. `root` names its typed messages: the noun, or its query profile."""

    name: str
    noun: str
    root: str
    verbs: tuple[Verb, ...]
    kind: Literal["Request", "Event"]

    @property
    def path(self) -> str:
        """Where it is offered."""
        return GENERIC_PATH if self.name == GENERIC else f"{GENERIC_PATH}/{self.name}"

    @property
    def namespace(self) -> str:
        """Target namespace of its WSDL."""
        return ns.service(self.name)

    @property
    def binding(self) -> str:
        """The Clark name of its binding."""
        return f"{{{self.namespace}}}{self.root}_Binding"

    def operation(self, verb: Verb) -> str:
        """E.g. CreateEndDeviceControls."""
        return f"{verb.capitalize()}{self.noun}"


def _offered(noun: Noun) -> list[Service]:
    name, query = noun.name, ns.query(noun.name)
    execute = [Service(f"Execute{name}", name, name, noun.verbs, "Request")] if noun.verbs else []
    queries = [] if noun.query is None else [Service(query, name, query, (Verb.GET,), "Request")]
    several = ns.operation_set(name)
    return [*execute, *queries, Service(f"Execute{several}", several, several, (Verb.EXECUTE,), "Request")]


OFFERED: tuple[Service, ...] = tuple(service for noun in NOUNS for service in _offered(noun))
"""By a head-end."""


def _hosted(noun: Noun) -> list[Service]:
    names = ["Reply", *(["Receive"] if noun.received else [])] if noun.events else []
    return [Service(f"{name}{noun.name}", noun.name, noun.name, noun.events, "Event") for name in names]


ANY = Service(GENERIC, "Request", GENERIC, (), "Request")
"""The generic service, whose operation for requests takes any verb and noun."""


HOSTED: tuple[Service, ...] = tuple(service for noun in NOUNS for service in _hosted(noun))
"""At a ReplyAddress, and by a subscriber."""


def offered(verb: str, noun: str) -> Service:
    """The head-end's service with the operation for a request; LocalError if there is none."""
    for service in OFFERED:
        if service.noun == noun and verb in service.verbs:
            return service
    raise LocalError("There is no typed operation", f"{verb} {noun}")


def addresses(services: tuple[Service, ...]) -> Mapping[str, str]:
    """Paths with the WSDL of each, and that of the generic service."""
    return {service.path: service.name for service in services} | {GENERIC_PATH: GENERIC}
