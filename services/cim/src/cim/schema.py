"""Validation against our own XSD, with an error that names the line and the element.

Compiled schemas are immutable and may be shared between threads, but lxml keeps the error log on the schema object, where
two validations would mix; so the shared object only says yes or no, and a refusal is explained by a private copy."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from lxml import etree

from cim import ns
from cim.errors import InvalidMessage
from cim.xml import Element

_FILES = {
    ns.MESSAGE: "Message.xsd",
    ns.END_DEVICE_CONTROLS: "EndDeviceControls.xsd",
    ns.END_DEVICE_CONTROLS_MESSAGE: "EndDeviceControlsMessage.xsd",
}
_PAYLOAD = f"{{{ns.MESSAGE}}}Payload"
_NAMESPACE = re.compile(r"\{[^}]*\}")
_LONGEST = 300


def schema_directory() -> Path:
    """Where this package keeps its XSD (`xsd/`) and WSDL (`wsdl/`)."""
    return Path(str(files("cim"))) / "schemas"


class Schemas:
    """All schemas, compiled once."""

    def __init__(self, directory: Path | None = None) -> None:
        where = (schema_directory() if directory is None else directory) / "xsd"
        self._paths = {namespace: where / name for namespace, name in _FILES.items()}
        self._compiled = {namespace: _compile(path) for namespace, path in self._paths.items()}

    def validate(self, element: Element) -> None:
        """Raise InvalidMessage 1.8 unless the element is valid; the payload of a generic message is checked as well.

        The envelope's schema skips payloads, so a known noun is validated on its own; an unknown one is left alone."""
        namespace = etree.QName(element).namespace or ""
        if namespace not in self._compiled:
            raise InvalidMessage("1.8", f"No message here has the namespace '{namespace[:_LONGEST]}'", _hint(namespace))
        self._validate(element, namespace)
        if namespace == ns.MESSAGE:
            for payload in element.iterchildren(_PAYLOAD):
                for child in payload.iterchildren("*"):
                    inner = etree.QName(child).namespace or ""
                    if inner in self._compiled and inner != ns.MESSAGE:
                        self._validate(child, inner)

    def _validate(self, element: Element, namespace: str) -> None:
        if not self._compiled[namespace].validate(element):
            raise self._explain(element, namespace)

    def _explain(self, element: Element, namespace: str) -> InvalidMessage:
        private = _compile(self._paths[namespace])
        private.validate(element)
        for entry in cast(Any, private.error_log):
            reason = _NAMESPACE.sub("", entry.message)[:_LONGEST]
            return InvalidMessage("1.8", f"Line {entry.line}: {reason}", entry.message[: 2 * _LONGEST])
        return InvalidMessage("1.8", "The message does not validate against the schema")


def _compile(path: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(path), etree.XMLParser(no_network=True, resolve_entities=False)))


def _hint(namespace: str) -> str:
    if namespace.startswith("http://www.iec.ch/"):
        return "the standard's namespaces have no www."
    return f"the 2011 set is spoken here, e.g. {ns.END_DEVICE_CONTROLS_MESSAGE}"
