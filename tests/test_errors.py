"""What a message looks like."""

from pct.errors import LONGEST, DataError


def test_a_message_without_end_lacks_its_middle() -> None:
    said = str(DataError(f"fit.json: unknown key '{'x' * 100_000}'\nRemove it, or write the run again"))
    line, fix = said.split("\n")
    assert line.startswith("fit.json: unknown key 'xxx")
    assert line.endswith("xxx'")
    assert " … 98,824 characters … " in line
    assert len(line) < LONGEST + 40
    assert fix == "Remove it, or write the run again"


def test_a_long_path_is_shown_whole() -> None:
    said = f"/logs/{'deep/' * 200}log.csv: expected numbers"
    assert str(DataError(said)) == said
