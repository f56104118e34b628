"""What a message looks like."""

from pct.errors import LONGEST_WORD, DataError


def test_a_long_word_of_a_message_is_shown_by_its_beginning() -> None:
    path = "/logs/" + "deep/" * 100
    said = str(DataError(f"{path}: unknown key '{'x' * 100_000}'. Known keys: time, channels"))
    assert said == f"{path}: unknown key '{'x' * 39}… (100,003 characters) Known keys: time, channels"
    whole = "y" * LONGEST_WORD
    assert str(DataError(whole)) == whole
