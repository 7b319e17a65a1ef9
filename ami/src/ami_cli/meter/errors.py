"""How a command ends when it does not end well: what happened, where, what to do, and the exit code that says so to a script."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with; documented in docs/howto/meter-explorer.md."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    NO_ANSWER = 4
    NO_ASSOCIATION = 5
    NOT_TRUSTED = 6
    NOT_UNDERSTOOD = 7
    DIFFERENT = 8
    INTERRUPTED = 130


class MeterError(Exception):
    """One sentence each: what happened, where it happened, what a person can do about it."""

    def __init__(self, code: ExitCode, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.hint:
            lines.append(f"  what to do: {self.hint}")
        return "\n".join(lines)


class ServiceRefused(MeterError):
    """The meter itself said no to one service; the association is as good as before. `result` is its own word."""

    def __init__(self, result: str, where: str, hint: str = "") -> None:
        super().__init__(ExitCode.REFUSED, f"the meter answers {result}", where=where, hint=hint)
        self.result = result


def words(name: str) -> str:
    """The name of a member of an enumeration as the standard writes it."""
    return name.lower().replace("_", "-")
