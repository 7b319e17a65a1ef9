"""What a reading operation hands back, as text and back again."""

from ami_hes.operations.read_results import NotRead, ReadSeries, ReadValue, ReadValues, WantedReadings

FOUND = ReadValues(
    (ReadValue("a", "1.5", None, 7, ("1.5.257",)), ReadValue("b", "2", 3, 7, stored=True)),
    (ReadSeries("c", True, (1, 2, 3), ("1", None, "3"), ((), ("1.5.257",)), (0, 1, 0), 9, (2,)),),
    (NotRead("d", "2.6", "FATAL", "unknown"),),
)


def test_what_was_read_comes_back_as_it_was() -> None:
    assert ReadValues.parse(FOUND.format()) == FOUND
    assert ReadValues.parse("") == ReadValues()


def test_it_is_counted_without_being_made_again() -> None:
    assert ReadValues.counted(FOUND.format()) == (FOUND.count, list(FOUND.not_read)) == (4, list(FOUND.not_read))
    assert ReadValues.counted("") == (0, [])


def test_what_is_wanted_comes_back_as_it_was() -> None:
    for wanted in (WantedReadings(), WantedReadings(("a", "b"), 1, 2, "store first", ("1.5.257",))):
        assert WantedReadings.parse(wanted.format()) == wanted


def test_what_an_earlier_version_wanted_is_wanted_still() -> None:
    assert WantedReadings.parse('[["a"],1,null]') == WantedReadings(("a",), 1)
    assert WantedReadings.parse('[["a"],1,2,"store"]') == WantedReadings(("a",), 1, 2, "store")
