"""Display text: a message for the customer (class 1, 0-0:96.13.0), written and read back, in meters that have one (M-146)."""

from ami_dlms.data import octet_string
from ami_mapping.recipes.steps import Recipe, attribute, needed, read
from ami_mapping.recipes.written import write_all

TEXT = attribute(1, "0-0:96.13.0", 2)


def display_text(text: str) -> Recipe:
    """UTF-8, which is ASCII for meters that know nothing else."""
    needed((yield from read(TEXT))[0], TEXT)
    return (yield from write_all({TEXT: octet_string(text.encode())}))
