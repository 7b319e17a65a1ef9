"""The options that say which meter, how to reach it and as whom, as the target that they add up to.

With --registry everything comes from a [[meters]] entry, and any option that is given as well wins over it.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from ami_cli.meter.counters import default_file
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.options import (
    OFFERED,
    SN_OFFERED,
    MeterTarget,
    Priority,
    Reach,
    WantedAssociation,
    Wrapping,
)
from ami_cli.meter.registry import RegistryEntry, read_entry
from ami_cli.meter.secret_arguments import certificate, octets, public_key
from ami_cli.meter.target_options import TargetOptions
from ami_dlms.association.client.session import PUBLIC_CLIENT
from ami_dlms.enums import Conformance
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_registry import Transport

TITLE_OCTETS = 8
T = TypeVar("T", Reach, WantedAssociation)


def target_of(options: TargetOptions, environ: Mapping[str, str]) -> MeterTarget:
    """The options as one target; MeterError for those that do not go together."""
    entry = None
    if options.registry is not None:
        entry = read_entry(options.registry, options.meter, environ=environ)
    elif options.meter is not None:
        raise MeterError(ExitCode.USAGE, "names an entry of a registry", where="--meter", hint="give --registry too")
    return MeterTarget(
        reach=_reach(options, entry),
        identity=_identity(options, entry, environ),
        counters=options.counters or default_file(environ),
        name="" if entry is None else entry.name,
        device_name="" if entry is None else entry.device_name,
        device_id="" if entry is None else entry.device_id,
        verbose=options.verbose,
    )


def _reach(options: TargetOptions, entry: RegistryEntry | None) -> Reach:
    given: dict[str, Any] = {
        "transport": options.transport or (Transport.SERIAL if options.device else None),
        "host": options.host or None,
        "port": options.port,
        "device": options.device or None,
        "baud": options.baud,
        "parity": options.parity,
        "mode_e": options.mode_e or None,
        "physical": options.physical,
        "address_size": options.address_size,
        "max_information_transmit": options.max_info_transmit,
        "max_information_receive": options.max_info_receive,
        "window_transmit": options.window_transmit,
        "window_receive": options.window_receive,
        "retries": options.retries,
        "timeout_s": options.timeout,
    }
    reach = _changed(Reach() if entry is None else entry.reach, given)
    if reach.transport is Transport.SERIAL and not reach.device:
        raise MeterError(ExitCode.USAGE, "is missing", where="--device", hint="as in --device /dev/ttyUSB0")
    if reach.transport is not Transport.SERIAL and not reach.host:
        hint = "as in --host 192.0.2.17, or --registry FILE --meter NAME"
        raise MeterError(ExitCode.USAGE, "is missing", where="--host", hint=hint)
    return reach


def _identity(options: TargetOptions, entry: RegistryEntry | None, environ: Mapping[str, str]) -> WantedAssociation:
    given = _secrets(options, environ) | _protections(options) | _association(options)
    return _changed(WantedAssociation(client=PUBLIC_CLIENT) if entry is None else entry.identity, given)


def _secrets(options: TargetOptions, environ: Mapping[str, str]) -> dict[str, Any]:
    """Keys, titles and the certificate."""

    def key(option: str, text: str, length: int | None = None, *, password: bool = False) -> bytes | None:
        found = octets(option, text, environ=environ, password=password) if text else None
        if found is not None and length is not None and len(found) != length:
            raise MeterError(ExitCode.USAGE, f"has {len(found)} octets, and not {length}", where=option)
        return found

    def public(option: str, text: str) -> bytes | None:
        return public_key(option, text, environ=environ).octets if text else None

    return {
        "secret": key("--secret", options.secret, password=True),
        "encryption_key": key("--ek", options.ek),
        "authentication_key": key("--ak", options.ak),
        "signing_key": key("--signing-key", options.signing_key),
        "meter_signing_key": public("--meter-signing-key", options.meter_signing_key),
        "master_key": key("--kek", options.kek),
        "agreement_key": key("--agreement-key", options.agreement_key),
        "meter_agreement_key": public("--meter-agreement-key", options.meter_agreement_key),
        "title": key("--title", options.title, TITLE_OCTETS),
        "meter_title": key("--meter-title", options.meter_title, TITLE_OCTETS),
        "certificate": certificate("--certificate", options.certificate) if options.certificate else None,
    }


def _protections(options: TargetOptions) -> dict[str, Any]:
    """How APDUs are protected, and which counter and challenge that takes."""
    return {
        "authentication": options.authentication,
        "message_key": options.message_key,
        "suite": options.suite,
        "wrapping": options.ciphering or (None if options.message_key is None else Wrapping.GENERAL_CIPHERING),
        "protection": options.protection,
        "response_protection": options.response_protection,
        "signed": options.signed or None,
        "dedicated_key": options.dedicated_key or None,
        "challenge_length": options.challenge_length,
        "counter_object": _obis(options.counter_object, "--counter-object"),
        "invocation_counter": options.invocation_counter,
    }


def _association(options: TargetOptions) -> dict[str, Any]:
    """Who speaks to whom, and what is negotiated."""
    return {
        "client": options.client,
        "server": options.server,
        "max_pdu_size": options.max_pdu,
        "short_names": options.short_names or None,
        "conformance": _conformance(options.conformance, short_names=options.short_names),
        "max_result_octets": options.max_result,
        "block_window": options.block_window,
        "high_priority": None if options.priority is None else options.priority is Priority.HIGH,
        "pre_established": options.pre_established,
        "any_invoke_id": options.any_invoke_id or None,
        "any_address": options.any_address or None,
        "fast_path": False if options.no_fast_path else None,
        "association_object": _obis(options.association_object, "--association-object"),
    }


def _conformance(text: str, *, short_names: bool) -> Conformance | None:
    """What is offered: the bits that are named, or the usual ones with changes."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        return None
    changes = [word[0] in "+-" for word in words]
    if any(changes) != all(changes):
        hint = "as in get,set,action; or as in +general-block-transfer,-multiple-references"
        raise MeterError(ExitCode.USAGE, "names either all bits or changes alone", where="--conformance", hint=hint)
    found = Conformance(0) if not all(changes) else SN_OFFERED if short_names else OFFERED
    for word in words:
        bit = _bit(word.lstrip("+-"))
        found = found & ~bit if word.startswith("-") else found | bit
    return found


def _bit(name: str) -> Conformance:
    bit = Conformance.__members__.get(name.upper().replace("-", "_"))
    if bit is None:
        names = ", ".join(one.lower().replace("_", "-") for one in Conformance.__members__)
        raise MeterError(ExitCode.USAGE, f"{name} is none of {names}", where="--conformance")
    return bit


def _obis(text: str, option: str) -> Obis | None:
    try:
        return Obis.parse(text) if text else None
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where=option) from None


def _changed(base: T, given: Mapping[str, Any]) -> T:
    known = {one.name for one in fields(base)}
    return replace(base, **{name: value for name, value in given.items() if value is not None and name in known})
