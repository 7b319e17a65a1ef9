"""Why a store can't be used: for a while, or at all."""


class StoreUnavailable(Exception):
    """The store does not take anything now (locked, disk full); nothing was stored. The text is for a person."""


class StoreUnusable(Exception):
    """The file can't be used as a store; the text says which and why."""
