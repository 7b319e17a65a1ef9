"""Files of one partner: its dialect, and the profile and the rows of its ReadingTypes. What can't be used is refused with file and line."""

from pathlib import Path

from ami_cim.dialect_files import MOST, pack, packs, parse_dialect
from ami_cim.peers import Dialect
from ami_mapping.partners import PartnerProfile, parse_profile
from ami_mapping.tables import MAX_OCTETS
from ami_process.text_files import UnreadableText, read_text


def dialect_of(name: str) -> Dialect:
    """The dialect of a known product, or that of a file; ValueError with all faults of it."""
    if not name.endswith(".toml"):
        try:
            return pack(name)
        except LookupError:
            known = ", ".join(("strict", *packs()))
            raise ValueError(f"no such dialect; there are {known}, and files that end with .toml") from None
    return parse_dialect(_text(Path(name), MOST), name, name)


def profile_of(profile: Path | None, rows: Path | None) -> PartnerProfile | None:
    """What is said of a partner's ReadingTypes in a profile and in a CSV of its own rows; ValueError with all faults of them."""
    if profile is None and rows is None:
        return None
    text = "" if profile is None else _text(profile, MAX_OCTETS)
    own = "" if rows is None else _text(rows, MAX_OCTETS)
    return parse_profile(text, str(profile or "no profile"), own, str(rows))


def _text(path: Path, most: int) -> str:
    try:
        return read_text(path, most)
    except UnreadableText as problem:
        raise ValueError(f"{path} {problem}") from None
