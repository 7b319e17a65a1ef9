"""A connection is an open file: ask for as many as the process may need."""

from contextlib import suppress

from ami_process.platforms import NeedsPosix

try:
    import resource
except ModuleNotFoundError as missing:
    raise NeedsPosix(missing) from None

MORE = 256
"""For everything that is no connection."""


def allow_open_files(connections: int) -> int:
    """Raise the soft limit, as far as the system grants it; the number of connections that there may be, at most those wanted."""
    wanted = connections + MORE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    granted = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return connections if granted == resource.RLIM_INFINITY else max(min(granted, wanted) - MORE, 0)
