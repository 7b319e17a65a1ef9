"""Text files that others have written: read whole within a bound, or refused with a reason for the operator."""

from pathlib import Path


class UnreadableText(Exception):
    """The file can't be used; the text says why, without its name."""


def read_text(path: Path, most: int) -> str:
    """The text of a file in UTF-8 of at most `most` characters. Raises UnreadableText."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(most + 1)
    except OSError as error:
        raise UnreadableText(f"can't be read: {error.strerror}") from None
    except ValueError:
        raise UnreadableText("is no text in UTF-8") from None
    if len(text) > most:
        raise UnreadableText(f"has more than {most} characters")
    return text
