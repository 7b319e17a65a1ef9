"""The readings of a store as Apache Parquet: the columns of the CSV with types, row group by row group, so that no export fills the memory.

A value is an exact decimal with twelve places where it is one that fits, and `value_text` is empty; what does not fit, or is no number (a
state, a time), is in `value_text` alone. Both are empty where a value is known to be missing. Needs the extra `parquet` (pyarrow).
"""

import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

from ami_hes.store.readings_csv import HEAD_END, METER
from ami_hes.store.readings_port import Extract, Readings, StoredReading

PLACES, DIGITS = 12, 38
"""Of a value: behind the point, and at all."""
_NUMBER = re.compile(r"-?(?P<whole>0|[1-9][0-9]*)(?:\.(?P<places>[0-9]+))?")
ROWS_OF_A_GROUP = 50_000
NEEDS_PYARROW = (
    "Parquet needs pyarrow, which is not installed where the head-end runs: install the extra ami-hes[parquet]"
)


def parquet_is_possible() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("pyarrow") is not None


async def parquet_parts(
    readings: Readings, wanted: Extract, rows_of_a_group: int = ROWS_OF_A_GROUP
) -> AsyncIterator[tuple[bytes, int]]:
    """A row group and then another one, each with the number of its rows, and the footer. Raises StoreUnavailable, ImportError without the extra."""
    file = await asyncio.to_thread(_File)
    gathered: list[StoredReading] = []
    async for part in readings.everything(wanted):
        gathered += part
        if len(gathered) >= rows_of_a_group:
            yield await asyncio.to_thread(file.write, gathered), len(gathered)
            gathered = []
    if gathered:
        yield await asyncio.to_thread(file.write, gathered), len(gathered)
    yield await asyncio.to_thread(file.end), 0


async def write_parquet(readings: Readings, file: BinaryIO, wanted: Extract) -> int:
    """How many were written."""
    written = 0
    async for octets, number in parquet_parts(readings, wanted):
        file.write(octets)
        written += number
    return written


class _File:
    """A file that is handed out as far as it is written."""

    def __init__(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        moment = pa.timestamp("ms", tz="UTC")
        words = pa.dictionary(pa.int32(), pa.string())
        self._schema = pa.schema(
            [
                pa.field("mrid", words, nullable=False),
                pa.field("reading_type", words, nullable=False),
                pa.field("time", moment, nullable=False),
                pa.field("value", pa.decimal128(DIGITS, PLACES)),
                pa.field("value_text", pa.string()),
                pa.field("qualities", words, nullable=False),
                pa.field("received", moment, nullable=False),
                pa.field("time_of", words, nullable=False),
            ]
        )
        self._table = pa.table
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def write(self, rows: Sequence[StoredReading]) -> bytes:
        """One row group."""
        mrids, types, times, texts, qualities, received, by_meter = zip(*rows, strict=True)
        values = [None if text is None else exact(text) for text in texts]
        table = self._table(
            {
                "mrid": mrids,
                "reading_type": types,
                "time": times,
                "value": values,
                "value_text": [text if value is None else None for text, value in zip(texts, values, strict=True)],
                "qualities": qualities,
                "received": received,
                "time_of": [METER if one else HEAD_END for one in by_meter],
            },
            schema=self._schema,
        )
        self._writer.write_table(table, row_group_size=len(rows))
        return self._sink.taken()

    def end(self) -> bytes:
        """The footer, without which it is no file."""
        self._writer.close()
        return self._sink.taken()


class _Sink:
    """What pyarrow takes for a file that is written from its begin to its end."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def write(self, octets: Any) -> int:
        part = bytes(octets)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def taken(self) -> bytes:
        """What was written since."""
        octets, self._parts = b"".join(self._parts), []
        return octets


def exact(text: str) -> Decimal | None:
    """The same number with its places; None for what is no number as one is written here, or none that fits without loss.

    Decimal takes more: `1_000`, `1E3`, ` 7`, digits of other scripts. Of `007`, an identification rather than a number, and of `-0` it
    would not be the same text that came back.
    """
    if (found := _NUMBER.fullmatch(text)) is None:
        return None
    whole, places = found["whole"], found["places"] or ""
    if len(whole) > DIGITS - PLACES or len(places) > PLACES or (text[0] == "-" and not text.strip("-0.")):
        return None
    return Decimal(text)
