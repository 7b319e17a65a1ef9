"""Certificates for CIS and HES before they start: an authority in one volume, and in the volume of each what it needs, and nothing else.

A certificate that ends within a month is made anew at the next start; the processes read it without one of their own.
"""

from datetime import UTC, datetime
from pathlib import Path

from ami_process.authority import Authority
from ami_process.tls import WARN_BEFORE

HOSTS = {"cis": ("cis", "localhost", "127.0.0.1"), "hes": ("hes", "hes-north", "localhost", "127.0.0.1")}
AUTHORITY, VOLUMES = Path("/var/lib/ami/pki"), Path("/tls")


def main() -> None:
    """Make what is missing."""
    authority, now = Authority(AUTHORITY), datetime.now(UTC)
    if not authority.exists:
        authority.init("AMI in containers", now)
    authority.refresh_list(now)
    for name, hosts in HOSTS.items():
        if not (AUTHORITY / f"{name}.pem").exists():
            authority.issue(name, hosts, now)
        elif authority.look_up(name).not_after - WARN_BEFORE < now:
            authority.renew(name, now)
        authority.export(name, VOLUMES / name)


if __name__ == "__main__":
    main()
