"""Why something that a hand on the process wants is not done: nothing of it was, and the text says why."""


class NotThere(Exception):
    """There is no such meter, object or snapshot."""


class NotPossible(Exception):
    """It can't be done now."""
