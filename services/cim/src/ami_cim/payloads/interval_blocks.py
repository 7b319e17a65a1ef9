"""IntervalBlocks of MeterReadings: columns as values, rows on the wire.

There may be a hundred thousand rows, so a block has a codec of its own: nothing of Python is made per row but what is in its columns."""

from dataclasses import dataclass, field
from typing import Any, Final, cast

from lxml import etree

from ami_cim.errors import InvalidMessage
from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.payloads.interval_reader import read_columns
from ami_cim.payloads.interval_writer import block_of
from ami_cim.xml import Element
from ami_cim.xml_fields import Codec, Shape, reference
from ami_cim.xml_values import REFERENCE, local


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalBlock:
    """The values of one reading type; the interval's length is part of the code."""

    reading_type: str
    columns: IntervalColumns = field(default_factory=IntervalColumns)


class _Codec(Codec[IntervalBlock]):
    def __init__(self, shape: Shape[IntervalBlock], namespace: str) -> None:
        super().__init__(shape, namespace)
        self._namespace = namespace
        self._others = etree.XPath("*[not(self::r:IntervalReadings)]", namespaces={"r": namespace})

    def read(self, element: Element, left_over: list[str] | None = None) -> IntervalBlock:
        """The block. Its rows leave nothing over: all that the schema lets them have is in a column."""
        reading_type = None
        for child in cast("list[Element]", self._others(element)):
            if child.tag == f"{{{self._namespace}}}ReadingType":
                reading_type = REFERENCE.read(child)
            elif left_over is not None:
                left_over.append(local(child))
        if reading_type is None:
            raise InvalidMessage("1.7", f"{local(element)} has no ReadingType")
        return IntervalBlock(reading_type=reading_type, columns=read_columns(element, self._namespace))

    def write(self, element: Element, value: Any) -> None:
        """Put the block in the place of its empty element."""
        parent = element.getparent()
        if parent is not None:
            parent.replace(element, block_of(self._namespace, value.reading_type, value.columns))


class _Blocks(Shape[IntervalBlock]):
    def bind(self, namespace: str) -> Codec[IntervalBlock]:
        """The codec of elements of this namespace."""
        return _Codec(self, namespace)


INTERVAL_BLOCK: Final = _Blocks(IntervalBlock, (reference("ReadingType", "reading_type", mandatory="1.7"),))
