"""Our WSDL and XSD as a server gives them out: the address filled in, every import a query on that same address.

`GET {location}?wsdl` answers `resolve("ExecuteEndDeviceControls", location)`, and `GET {location}?xsd=Message.xsd`
answers `resolve("Message.xsd", location)`, so a generator needs nothing but the first address."""

from functools import cache, lru_cache
from urllib.parse import quote

from lxml import etree

from ami_cim import ns
from ami_cim.errors import CimError
from ami_cim.schema import schema_directory
from ami_cim.xml import serialize

CONTENT_TYPE = "text/xml; charset=utf-8"

_ADDRESS = f"{{{ns.WSDL_SOAP}}}address"
_IMPORTS = tuple(f"{{{ns.XSD}}}{name}" for name in ("import", "include"))


def names() -> tuple[str, ...]:
    """What `resolve` knows: services by name, schemas by file name."""
    return tuple(sorted(_documents()))


@lru_cache(maxsize=128)
def resolve(name: str, location: str) -> bytes:
    """A document of `names()` for a service at `location` (absolute, without query); CimError for another name."""
    octets = _documents().get(name)
    if octets is None:
        raise CimError("5.2", "There is no such WSDL or schema", name[:80])
    root = etree.fromstring(octets)
    for element in root.iter(*_IMPORTS):
        file = (element.get("schemaLocation") or "").rpartition("/")[2]
        element.set("schemaLocation", f"{location}?xsd={quote(file)}")
    for element in root.iter(_ADDRESS):
        element.set("location", location)
    return serialize(root)


@cache
def _documents() -> dict[str, bytes]:
    directory = schema_directory()
    services = {path.stem: path.read_bytes() for path in (directory / "wsdl").glob("*.wsdl")}
    return services | {path.name: path.read_bytes() for path in (directory / "xsd").glob("*.xsd")}
