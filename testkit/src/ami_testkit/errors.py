"""What goes wrong in the kit itself; what goes wrong in the system under test is an AssertionError."""


class KitError(Exception):
    """The kit can't do what was asked; the text says what, where, and what to do."""


class NotThere(KitError):
    """An API has nothing of this name."""
