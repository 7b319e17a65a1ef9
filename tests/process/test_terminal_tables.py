"""Tables fit the terminal, and lose nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ami_process.terminal_tables import LONGEST_WORD, Rows

MESSAGE_ID = "9be738bb-02af-5ce0-b1bd-bb9eb6959aa6"
AT = "2026-03-28T23:30:00+01:00"


def requests() -> Rows:
    """As `hes requests list` has them."""
    made = Rows("accepted", "MessageID", "request", "from", "meters", "done", "ok", "result", numbers={4, 5, 6})
    made.add_row(AT, MESSAGE_ID, "create EndDeviceControls", "CIS", "1", "1", "0", "FAILED")
    made.add_row(AT, MESSAGE_ID[::-1], "get MeterReadings", "CIS", "10", "9", "8", "OK")
    return made


def test_a_table_that_fits_is_as_it_was_made() -> None:
    head, *lines = requests().lines(150)
    assert head.split() == ["accepted", "MessageID", "request", "from", "meters", "done", "ok", "result"]
    assert lines[0].split() == [AT, MESSAGE_ID, "create", "EndDeviceControls", "CIS", "1", "1", "0", "FAILED"]
    assert lines[0].index(" 1 ") == lines[1].index("10 "), "numbers end below one another"


def test_in_eighty_columns_no_id_is_broken_and_an_offset_is_said_once() -> None:
    lines = requests().lines(80)
    assert max(map(len, lines)) <= 80 and lines[0].startswith("accepted (+01:00)")
    assert [line for line in lines if line.startswith("  ")] == [
        "  MessageID",
        f"  {MESSAGE_ID}",
        f"  {MESSAGE_ID[::-1]}",
    ]
    assert len(lines) == 6 and "create EndDeviceControls" in lines[2]


def test_what_is_the_same_in_all_rows_is_said_once_where_it_does_not_fit() -> None:
    made = Rows("meter", "source")
    for name in ("M1", "M2"):
        made.add_row(name, "meter, time of the head-end system")
    assert made.lines(80)[0].split() == ["meter", "source"]
    assert made.lines(36) == ["source: meter, time of the head-end", "system", "meter", "M1", "M2"]


def test_a_time_that_is_said_once_keeps_its_offset() -> None:
    made = Rows("meter", "next due")
    made.add_row("M1", AT)
    assert made.lines(20)[0] == "next due (+01:00):" and "2026-03-28T23:30:00" in made.lines(20)[1]


def test_what_a_terminal_would_obey_is_not_written() -> None:
    made = Rows("meter", "reason")
    made.add_row("M1", "a\x1b[2Jb\nc")
    assert made.lines(80)[1] == "M1     a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c"


cells = st.lists(st.text("ab-.\u4e2d ", max_size=90), min_size=3, max_size=3)


@given(st.lists(cells, min_size=1, max_size=4), st.integers(LONGEST_WORD + 2, 200))
def test_every_word_is_there_and_no_line_is_wider_than_the_terminal(rows: list[list[str]], width: int) -> None:
    made = Rows("one", "two", "three", numbers={1})
    for row in rows:
        made.add_row(*row)
    lines = made.lines(width)
    assert max(map(len, lines)) <= width
    letters = "".join("".join(lines).split())
    assert all(
        len(word) > LONGEST_WORD // 2 or word in letters for row in rows for cell in row for word in cell.split()
    )
