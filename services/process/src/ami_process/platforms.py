"""Where this runs: Linux and macOS. What is imported there alone fails elsewhere with a sentence that says so."""


class NeedsPosix(ImportError):
    """A module of the standard library is missing that only POSIX systems have."""

    def __init__(self, missing: ModuleNotFoundError) -> None:
        name = missing.name or "a module"
        super().__init__(
            f"{name} of the standard library is missing, which Linux and macOS have: on Windows run this in Docker or in WSL2",
            name=missing.name,
        )
