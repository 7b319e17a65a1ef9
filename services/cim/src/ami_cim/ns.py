"""The XML namespaces of the 2011 set: IEC 61968-100 ed. 1 envelope, IEC 61968-9:2013 payloads, SOAP 1.1.

All namespaces are named here and nowhere else, so that an adaptor for a later set is one table."""

import re
from typing import cast

MESSAGE = "http://iec.ch/TC57/2011/schema/message"
"""Envelope types and the generic messages. Drafts wrote it with `www.`; that is another namespace."""

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSDL = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
XSD = "http://www.w3.org/2001/XMLSchema"

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DSIG = "http://www.w3.org/2000/09/xmldsig#"

CONTROL_PARAMETERS = "urn:ami-reference:ControlParameters:1"
"""Ours: parameters of controls (`ami_cim.payloads.control_parameters`), in Request."""

_ROOT = "http://iec.ch/TC57/2011/"
_NOUN_MESSAGE = re.compile(re.escape(_ROOT) + r"(?:Get)?(?P<noun>[A-Z][A-Za-z]*)Message")


def payload(noun: str) -> str:
    """Namespace of a noun's payload: `http://iec.ch/TC57/2011/{Noun}#`."""
    return f"{_ROOT}{noun}#"


def query(noun: str) -> str:
    """The name of a noun's query profile: `Get{Noun}`; its namespaces are made like those of a noun."""
    return f"Get{noun}"


def operation_set(noun: str) -> str:
    """The name of a noun's typed OperationSet: `{Noun}OperationSet`; the namespace of its messages is made like that of a noun."""
    return f"{noun}OperationSet"


def typed_message(noun: str) -> str:
    """Namespace of a noun's typed wrappers: `http://iec.ch/TC57/2011/{Noun}Message`."""
    return f"{_ROOT}{noun}Message"


def noun_of(namespace: str) -> str | None:
    """The noun whose typed wrappers live in this namespace, of a get or not; None if it is no such namespace."""
    found = _NOUN_MESSAGE.fullmatch(namespace)
    return found["noun"] if found else None


def service(name: str) -> str:
    """Target namespace of a WSDL, e.g. of `ExecuteEndDeviceControls`."""
    return f"{_ROOT}{name}"


def soap_action(noun: str, operation: str) -> str:
    """The soapAction of a typed operation, e.g. `CreateEndDeviceControls` of `EndDeviceControls`."""
    return f"{_ROOT}{noun}/{operation}"


def default(namespace: str) -> dict[str, str]:
    """The prefixes of an element that needs none (the stubs forget that None is the key of the default namespace)."""
    return cast("dict[str, str]", {None: namespace})
