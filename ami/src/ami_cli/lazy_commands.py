"""Sub-commands whose modules are imported only when they are called: `ami demo` and the list of commands should start at once."""

from ami_process.commands import Late

LAZY_COMMANDS = {
    "demo": Late("ami_cli.demo_command:app", "Start CIS, HES and meters, show what happens, stop on Ctrl-C."),
    "fleet": Late(
        "ami_cli.fleet_command:app", "Write a configuration with many simulated meters, each with keys of its own."
    ),
    "one-request": Late(
        "ami_cli.one_request_command:app",
        "Show one disconnect hop by hop, with its real XML and octets (docs/one-request.md).",
    ),
    "meter": Late(
        "ami_cli.meter.cli:app",
        "Talk to one meter, real or simulated: read, write, invoke, profile, scan, clock, disconnect, connect.",
    ),
    "conformance": Late(
        "ami_cli.conformance.cli:app",
        "Test a meter, real or simulated, against the standards and a pack (docs/howto/test-a-meter.md).",
    ),
    "sample": Late(
        "ami_cli.sample:app",
        "Write a SOAP request to the HES, with a fresh MessageID: to look at, to change, and to send (docs/howto/bring-your-own-cis.md).",
    ),
    "settings": Late(
        "ami_cli.settings_page:app", "List every setting of the configuration file, with its type, default and meaning."
    ),
    "events": Late(
        "ami_cli.events_page:app",
        "List every event that the processes report, with its fields and when it is reported.",
    ),
    "metrics": Late(
        "ami_cli.metrics_page:app", "List every metric of the head-end, with its labels and what it counts."
    ),
    "models": Late(
        "ami_cli.models_page:app",
        "List the models of meters, what each has, and what a model file may say; or check a file.",
    ),
    "pack": Late(
        "ami_cli.packs.cli:app", "Companion standards as data: list, show, check and compare packs (docs/packs.md)."
    ),
    "map": Late("ami_cli.mapping:app", "Translate a code between DLMS/COSEM and CIM, and say why."),
    "audit": Late("ami_cli.audit:app", "The audit log of a head-end: check, show, export."),
    "cim": Late("ami_cli.cim.cli:app", "Messages of CIM (IEC 61968-9 in IEC 61968-100), of any sender."),
    "decode": Late("ami_cli.decode.cli:app", "Show what frames (wrapper, HDLC, M-Bus) or APDUs say, octet by octet."),
    "encode": Late(
        "ami_cli.decode.encode:app",
        "Make the octets again from JSON or XML of `ami decode`: one line of hex for each message.",
    ),
    "proxy": Late(
        "ami_cli.proxy.cli:app",
        "Stand between a head-end and a meter: show and record what passes, answer from a record, make a model of it.",
    ),
    "trace": Late(
        "ami_cli.trace.cli:app",
        "Show what happened for a request: the tree of messages, sessions and APDUs. Without MESSAGE_ID and --last: which there are.",
    ),
    "watch": Late(
        "ami_cli.watch.cli:app",
        "Show what happens in a running system, until Ctrl-C: requests with their verdicts and reasons, meters, events, octets in words.",
    ),
    "wireshark": Late(
        "ami_cli.wireshark.cli:app",
        "The plug-in that reads DLMS/COSEM in Wireshark and tshark 4.0 to 4.6, put in place, and the keys for it.",
    ),
    "pki": Late(
        "ami_process.pki_command:app",
        "Make a certificate authority and certificates for TLS between CIS and HES, renew and revoke them, and show what ends when.",
    ),
    "bench": Late(
        "ami_cli.bench_command:app", "Time one control for many meters over real sockets, and show where the time goes."
    ),
    "bench-dlms": Late(
        "ami_cli.bench_dlms.cli:app",
        "Time the DLMS core: round trips, decoding, protecting, sessions; each as a ratio.",
    ),
    "bench-fleet": Late(
        "ami_cli.bench_fleet.cli:app",
        "Measure populations of simulated meters: memory, start, dialogues, open sessions.",
    ),
    "bench-readings": Late(
        "ami_cli.bench_readings.cli:app",
        "Measure readings: on demand and by profile, a control amid them, memory, messages, the store. Linux only.",
    ),
    "bench-commissioning": Late(
        "ami_cli.bench_commissioning:app",
        "Measure the commissioning of simulated meters from a shipment, without and with new keys. Linux only.",
    ),
    "bench-traces": Late(
        "ami_cli.bench_traces:app",
        "Measure what traces cost the HES: off, sampled as by default, and everything. Linux only.",
    ),
    "bench-security": Late(
        "ami_cli.bench_security:app", "Measure what TLS and signatures cost the HES for a small request. Linux only."
    ),
    "bench-scale": Late(
        "ami_cli.bench_scale.cli:app",
        "Measure what goes beyond one machine, with the embedded engine beside it. Linux only.",
    ),
    "store-plans": Late(
        "ami_cli.store_plans.cli:app",
        "Fill a store of PostgreSQL and show by which plans it is asked.",
    ),
    "bench-outage": Late(
        "ami_cli.bench_outage.cli:app",
        "Measure what becomes of last gasps that come at once, with two sizes of the receive buffer. Linux only.",
    ),
}
"""Name of the sub-command -> where it is."""
