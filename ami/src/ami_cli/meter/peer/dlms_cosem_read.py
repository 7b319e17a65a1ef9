"""Reads one attribute with dlms-cosem, in the interpreter and process of that library: JSON in on standard input, JSON out.

Not part of the package that runs: `ami meter read --second-opinion` hands this file to another interpreter by its path.
dlms-cosem is under the Business Source License 1.1; nothing here is taken from it, and it is imported here alone.
"""

import importlib
import json
import sys
from typing import Any


def load() -> Any:
    """The library's parts by the names of their modules; None when it is not there."""
    names = ("cosem", "enumerations", "client", "io", "security")
    try:
        quiet = importlib.import_module("structlog")
        parts = {name: importlib.import_module(f"dlms_cosem.{name}") for name in names}
    except ImportError:
        return None
    quiet.configure(wrapper_class=quiet.make_filtering_bound_logger(50))
    return parts


def read(parts: Any, given: dict[str, Any]) -> bytes:
    """The attribute's value as the meter encodes it."""
    security, io = parts["security"], parts["io"]
    authentication = {
        "none": security.NoSecurityAuthentication,
        "lls": lambda: security.LowLevelSecurityAuthentication(bytes.fromhex(given["secret"])),
        "hls-gmac": security.HighLevelSecurityGmacAuthentication,
    }[given["authentication"]]()
    wire = io.BlockingTcpIO(given["host"], given["port"], timeout=given["timeout_s"])
    transport = io.TcpTransport(given["client"], given["server"], wire)
    keys = {}
    if given["encryption_key"]:
        keys = {
            "encryption_key": bytes.fromhex(given["encryption_key"]),
            "authentication_key": bytes.fromhex(given["authentication_key"]),
            "client_system_title": bytes.fromhex(given["title"]),
            "client_initial_invocation_counter": given["invocation_counter"],
        }
    client = parts["client"].DlmsClient(transport, authentication, max_pdu_size=given["max_pdu_size"], **keys)
    attribute = parts["cosem"].CosemAttribute(
        parts["enumerations"].CosemInterface(given["class_id"]),
        parts["cosem"].Obis(*given["obis"]),
        given["attribute_id"],
    )
    with client.session() as session:
        value: bytes = session.get(attribute)
    return value


def main() -> None:
    """One question, one answer."""
    given = json.load(sys.stdin)
    parts = load()
    if parts is None:
        answer = {"missing": sys.executable}
    else:
        try:
            answer = {"a_xdr": read(parts, given).hex()}
        except Exception as error:  # noqa: BLE001 - whatever a foreign library raises is its opinion
            answer = {"error": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
