"""Passwords, keys and tokens of docker-compose.scale.yml before its processes start: each in the volume of who has to know it, and nowhere else.

What is there already stays, since the database and the sealed keys of meters depend on it. Files are for their owner alone where that is the
user of our images; those of others (PostgreSQL, NATS, Prometheus) can be read by whatever user these have, in a volume that is theirs alone.
"""

import secrets
from hashlib import sha256
from pathlib import Path

VOLUMES = Path("/volumes")
PRINCIPALS = """\
[[principals]]
name = "prometheus"
token_sha256 = "{digest}"
roles = ["reader"]
"""
NATS = """\
authorization {{
  users = [{{user: ami_hes, password: "{password}"}}]
}}
"""


def main() -> None:
    """Make what is missing."""
    hes = [VOLUMES / "hes" / name for name in ("hes-database", "nats", "master-key", "tokens")]
    database, nats, _, _ = map(made, hes)
    cis = made(VOLUMES / "cis" / "cis-database")
    give(VOLUMES / "postgresql" / "hes", database)
    give(VOLUMES / "postgresql" / "cis", cis)
    give(VOLUMES / "nats" / "users.conf", NATS.format(password=nats))
    token = made(VOLUMES / "prometheus" / "token")
    give(VOLUMES / "prometheus" / "token", token)
    write(VOLUMES / "hes" / "principals.toml", PRINCIPALS.format(digest=sha256(token.encode()).hexdigest()), 0o600)


def made(file: Path) -> str:
    """What a file holds: 32 random octets in hexadecimal digits, from now on."""
    if not file.exists():
        write(file, secrets.token_hex(32), 0o600)
    return file.read_text("ascii").strip()


def give(file: Path, text: str) -> None:
    """To a container with a user that is not ours."""
    write(file, text, 0o444)


def write(file: Path, text: str, mode: int) -> None:
    """The whole file or none of it."""
    new = file.with_name(f".{file.name}")
    new.unlink(missing_ok=True)
    new.touch(0o600)
    new.write_text(text + "\n", "ascii")
    new.chmod(mode)
    new.replace(file)


if __name__ == "__main__":
    main()
