"""Files that follow from the rows of NOUNS are what the rows give."""

import pytest

from ami_cim import ns, templates
from ami_cim.nouns import EXTENSIONS, NOUNS
from ami_cim.schema import schema_directory

DOCUMENTS = templates.documents()
BY_HAND = {"xsd/Message.xsd", "wsdl/Generic.wsdl"}


@pytest.mark.parametrize("path", sorted(DOCUMENTS))
def test_the_file_is_what_the_row_gives(path: str) -> None:
    file = schema_directory() / path
    assert file.read_text(encoding="utf-8") == DOCUMENTS[path], "python -m ami_cim.templates writes it anew"


def test_no_file_belongs_to_nothing() -> None:
    payloads = {
        f"xsd/{name}.xsd" for noun in NOUNS for name in (noun.name, *([ns.query(noun.name)] if noun.query else []))
    }
    files = {
        str(path.relative_to(schema_directory()))
        for path in schema_directory().rglob("*.*")
        if path.parent.name != "samples"  # each is sent in test_samples
    }
    payloads |= {f"xsd/{one.name}.xsd" for one in EXTENSIONS.values()}
    assert files == BY_HAND | payloads | set(DOCUMENTS)
