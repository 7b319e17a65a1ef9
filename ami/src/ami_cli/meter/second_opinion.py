"""The same attribute read once more by an independent client, dlms-cosem, and where the two differ.

dlms-cosem is under the Business Source License 1.1 and stays in an interpreter and a process of its own: it gets a
question as JSON and answers with octets. A value that moves (a clock, a register) may change between the two readings.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ami_cli.meter.counters import CounterFile
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.options import MeterTarget, Protection, WantedAssociation, Wrapping
from ami_cli.meter.reading import HIDDEN, AttributeReading
from ami_cli.meter.session import SessionEnvironment
from ami_cli.meter.values import plain_text, type_name
from ami_dlms import data
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_registry import Transport

SCRIPT = Path(__file__).parent / "peer" / "dlms_cosem_read.py"
KNOWS = ("none", "lls", "hls-gmac")
PEER_S = 60.0
PEER_COUNTERS = 1024
HOW = (
    "it is under the Business Source License 1.1, so it has a place of its own:\n"
    "    python3 -m venv peer && peer/bin/pip install dlms-cosem==25.1.0\n"
    "  then give --peer-python peer/bin/python"
)


def compare(
    target: MeterTarget,
    environment: SessionEnvironment,
    ours: AttributeReading,
    python: Path | None,
    write: Callable[[str], None],
) -> ExitCode:
    """Ask the peer, say what it says, and whether both agree."""
    if python is None:
        raise MeterError(ExitCode.USAGE, "needs dlms-cosem", where="--second-opinion", hint=HOW)
    answer = _ask(python, _question(target, environment, ours), target.reach.timeout_s)
    if "error" in answer:
        write(f"second opinion (dlms-cosem): {answer['error']}")
        return ExitCode.DONE if ours.error else ExitCode.DIFFERENT
    try:
        theirs = data.decode(bytes.fromhex(answer["a_xdr"]))
    except DecodeError as error:
        write(f"second opinion (dlms-cosem): {answer['a_xdr']}, which does not decode: {error}")
        return ExitCode.DIFFERENT
    if ours.value is None:
        shown = HIDDEN if is_secret(ours.descriptor) else plain_text(theirs)
        write(f"second opinion (dlms-cosem): {shown}; we were told {ours.error or 'one that is not compared'}")
        return ExitCode.DIFFERENT
    found = list(differences(ours.value, theirs))
    if not found:
        write("second opinion (dlms-cosem): the same, octet for octet")
        return ExitCode.DONE
    write("second opinion (dlms-cosem): different (a value may have moved between the two readings)")
    for place, mine, other in found:
        write(f"  {place or 'value'}: we read {mine}, dlms-cosem {other}")
    return ExitCode.DIFFERENT


def differences(ours: Data, theirs: Data, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two values differ: the path of element numbers, ours, theirs."""
    nested = ours.tag is theirs.tag and ours.tag in (DataTag.ARRAY, DataTag.STRUCTURE)
    if nested and len(ours.value) == len(theirs.value):
        for number, (mine, other) in enumerate(zip(ours.value, theirs.value, strict=True), 1):
            yield from differences(mine, other, f"{place}[{number}]")
    elif data.encode(ours) != data.encode(theirs):
        yield place, f"{type_name(ours)} {plain_text(ours)}", f"{type_name(theirs)} {plain_text(theirs)}"


def _question(target: MeterTarget, environment: SessionEnvironment, ours: AttributeReading) -> dict[str, Any]:
    reach, identity, descriptor = target.reach, target.identity, ours.descriptor
    if reason := _beyond(target):
        raise MeterError(ExitCode.USAGE, f"dlms-cosem can't do {reason}", where="--second-opinion")
    question: dict[str, Any] = {
        "host": reach.host,
        "port": reach.port,
        "timeout_s": reach.timeout_s,
        "client": identity.client,
        "server": identity.server,
        "authentication": identity.authentication,
        "secret": (identity.secret or b"").hex(),
        "max_pdu_size": identity.max_pdu_size,
        "class_id": descriptor.class_id,
        "obis": list(descriptor.instance_id),
        "attribute_id": descriptor.attribute_id,
        "encryption_key": "",
    }
    return question | (_keys(target, identity, environment) if identity.keyed else {})


def _keys(target: MeterTarget, identity: WantedAssociation, environment: SessionEnvironment) -> dict[str, Any]:
    """Unused keys and counters; those that the peer leaves over are never used again."""
    file = CounterFile(target.counters)
    title = identity.title or file.own_title(environment.random_bytes(8))
    counter = file.reserve(f"{identity.key_id}/{title.hex().upper()}", 0, count=PEER_COUNTERS)
    return {
        "encryption_key": (identity.encryption_key or b"").hex(),
        "authentication_key": (identity.authentication_key or b"").hex(),
        "title": title.hex(),
        "invocation_counter": counter.next_value,
    }


def _beyond(target: MeterTarget) -> str:
    """What of the target is beyond the peer; empty when nothing is."""
    identity = target.identity
    if target.reach.transport is not Transport.WRAPPER:
        return f"the transport {target.reach.transport}"
    if identity.authentication not in KNOWS:
        return f"authentication {identity.authentication}"
    if identity.pre_established is not None:
        return "associations that are not opened"
    if identity.keyed and (identity.signed or identity.response_protection is not None or identity.dedicated_key):
        return "signatures, dedicated keys and a protection of answers of its own"
    if identity.keyed and identity.wrapping is not Wrapping.GENERAL_GLO:
        return f"ciphering {identity.wrapping}"
    if identity.keyed and identity.protection is not Protection.BOTH:
        return f"protection {identity.protection}"
    if identity.keyed and identity.suite:
        return f"suite {identity.suite}"
    return ""


def _ask(python: Path, question: dict[str, Any], timeout_s: float) -> dict[str, str]:
    command = [str(python), "-I", str(SCRIPT)]
    try:
        ran = subprocess.run(  # noqa: S603 - the interpreter that the person names, and our own file
            command, input=json.dumps(question), capture_output=True, text=True, timeout=PEER_S + timeout_s, check=True
        )
        answer: dict[str, str] = json.loads(ran.stdout)
    except OSError as error:
        raise MeterError(
            ExitCode.USAGE, f"can't be started: {error.strerror}", where=f"--peer-python {python}", hint=HOW
        ) from None
    except subprocess.TimeoutExpired:
        raise MeterError(ExitCode.NO_ANSWER, "dlms-cosem did not come back", where="--second-opinion") from None
    except (subprocess.CalledProcessError, ValueError):
        raise MeterError(
            ExitCode.USAGE, "is no Python that answers", where=f"--peer-python {python}", hint=HOW
        ) from None
    if "missing" in answer:
        raise MeterError(ExitCode.USAGE, "can't import dlms_cosem", where=f"--peer-python {python}", hint=HOW)
    return answer
