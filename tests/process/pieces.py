"""Pieces of work for a worker's process to do: each takes the octets of a head and a body, and returns octets."""

import os
import subprocess
import time


def shell(head: bytes, body: bytes) -> bytes:
    return subprocess.check_output(["sh", "-c", head], input=body)


def parents(head: bytes, body: bytes) -> bytes:
    return f"{os.getppid()} {os.getpid()}".encode()


def sleep(head: bytes, body: bytes) -> bytes:
    time.sleep(float(head))
    return b"slept"


def count(head: bytes, body: bytes) -> bytes:
    return str(sum(range(int(head)))).encode()


def zeros(head: bytes, body: bytes) -> bytes:
    return bytes(int(head))


def fail(head: bytes, body: bytes) -> bytes:
    raise ValueError(head.decode("utf-8", "surrogateescape"))


def write(head: bytes, body: bytes) -> bytes:
    """Octets that are no answer, behind the back of the one who answers."""
    os.write(1, head)
    return b""
