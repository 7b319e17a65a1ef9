"""The schemas and WSDL that are the same for every noun but for its name; `python -m ami_cim.templates` writes them.

What is in `schemas/` is what is served and validated against. These files of it follow from the rows of `NOUNS`, by the templates of
IEC 61968-100 ed. 1 (`data/`); the schema of each payload is written by hand, and so are Message.xsd and Generic.wsdl."""

from importlib.resources import files
from string import Template

from ami_cim import ns
from ami_cim.nouns import NOUNS
from ami_cim.schema import schema_directory
from ami_cim.services import HOSTED, OFFERED, Service

_ABOUT = {
    "Execute": "What a head-end offers: the provider view of transactions on {noun} (IEC 61968-100 ed. 1).",
    "Get": "What a head-end offers: the query of {noun} (IEC 61968-100 ed. 1).",
    "Reply": "What a requester hosts at its ReplyAddress: the asynchronous results of Execute{noun}, reported as events "
    "(IEC 61968-100 ed. 1).",
    "Receive": "What a subscriber offers: the receiver's view of {noun}, which a head-end sends by itself "
    "(IEC 61968-100 ed. 1).",
}

_OLDER_GET = """\
  <!-- the older get, which has no query profile: IDs in the Request -->
  <xs:element name="{noun}RequestMessage" type="{noun}RequestMessageType"/>

"""
_PORTS = {"Request": 8081, "Event": 8080}
"""Of the HES and of the CIS; a server gives out the address that it is asked at."""


def documents() -> dict[str, str]:
    """Every file, by its path below `schemas/`."""
    found = {f"wsdl/{service.name}.wsdl": _wsdl(service) for service in (*OFFERED, *HOSTED)}
    for noun in NOUNS:
        older = _OLDER_GET.format(noun=noun.name) if noun.query is not None else ""
        found[f"xsd/{noun.name}Message.xsd"] = _filled("NounMessage.xsd", noun.name, older=older)
        if noun.query is not None:
            found[f"xsd/{ns.query(noun.name)}Message.xsd"] = _filled("GetNounMessage.xsd", noun.name)
        found[f"xsd/{ns.operation_set(noun.name)}Message.xsd"] = _filled("OperationSetMessage.xsd", noun.name)
    return found


def _filled(name: str, noun: str, **parts: str) -> str:
    return Template(files("ami_cim").joinpath("data", name).read_text(encoding="utf-8")).substitute(noun=noun, **parts)


def _wsdl(service: Service) -> str:
    operations = [service.operation(verb) for verb in service.verbs]
    kind, noun, root = service.kind, service.noun, service.root
    answers = _message("ResponseMessage", f"{noun}ResponseMessage") + _message("FaultMessage", f"{noun}FaultMessage")
    first, *others = (_message(f"{operation}{kind}Message", operation) for operation in operations)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- {_ABOUT[service.name.removesuffix(noun)].format(noun=noun)} -->
<wsdl:definitions name="{service.name}" targetNamespace="{service.namespace}" xmlns:tns="{service.namespace}"
                  xmlns:wsdl="{ns.WSDL}" xmlns:soap="{ns.WSDL_SOAP}"
                  xmlns:xs="{ns.XSD}"
                  xmlns:typ="{ns.typed_message(root)}">
  <wsdl:types>
    <xs:schema elementFormDefault="qualified">
      <xs:import namespace="{ns.typed_message(root)}" schemaLocation="../xsd/{root}Message.xsd"/>
    </xs:schema>
  </wsdl:types>
{first}{answers}{"".join(others)}  <wsdl:portType name="{root}_Port">
{"".join(_abstract(operation, kind) for operation in operations)}  </wsdl:portType>
  <wsdl:binding name="{root}_Binding" type="tns:{root}_Port">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
{"".join(_bound(operation, kind, ns.soap_action(root, operation)) for operation in operations)}  </wsdl:binding>
  <wsdl:service name="{service.name}">
    <wsdl:port name="{root}_Port" binding="tns:{root}_Binding">
      <soap:address location="http://localhost:{_PORTS[kind]}{service.path}"/>
    </wsdl:port>
  </wsdl:service>
</wsdl:definitions>
"""


def _message(name: str, element: str) -> str:
    return f"""  <wsdl:message name="{name}">
    <wsdl:part name="{name}" element="typ:{element}"/>
  </wsdl:message>
"""


def _abstract(operation: str, kind: str) -> str:
    return f"""    <wsdl:operation name="{operation}">
      <wsdl:input name="{operation}{kind}" message="tns:{operation}{kind}Message"/>
      <wsdl:output name="{operation}Response" message="tns:ResponseMessage"/>
      <wsdl:fault name="{operation}Fault" message="tns:FaultMessage"/>
    </wsdl:operation>
"""


def _bound(operation: str, kind: str, soap_action: str) -> str:
    return f"""    <wsdl:operation name="{operation}">
      <soap:operation soapAction="{soap_action}" style="document"/>
      <wsdl:input name="{operation}{kind}">
        <soap:body use="literal"/>
      </wsdl:input>
      <wsdl:output name="{operation}Response">
        <soap:body use="literal"/>
      </wsdl:output>
      <wsdl:fault name="{operation}Fault">
        <soap:fault name="{operation}Fault" use="literal"/>
      </wsdl:fault>
    </wsdl:operation>
"""


def write() -> None:
    """Write them all into `schemas/`."""
    for path, text in documents().items():
        (schema_directory() / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
