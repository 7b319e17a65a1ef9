"""Text that came from elsewhere, as a terminal can take it."""


def printable(text: str) -> str:
    """The text on one line, without characters of control or of the direction of writing: a terminal would do what they say."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
