"""How an exchange with the HES ended, in the words that every command has for it."""


def how_it_ended(result: str | None, *, unknown: bool, not_sent: bool) -> str:
    """The Result of the reply; without one, what is known of the request."""
    return result or ("NOT SENT" if not_sent else "UNKNOWN" if unknown else "NO REPLY")
