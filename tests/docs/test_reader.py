"""The reader of the pages notices when something else happens than a page says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deadlines import eventually
from tests.docs.pages import Block
from tests.docs.reader import Reader, alike, commands, contains, matches, reading


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    home = tmp_path / "home"
    home.mkdir()
    with reading(home) as reader:
        yield reader


def block(language: str, text: str, **words: str) -> Block:
    return Block(language, words, text, 1)


def test_what_is_printed_as_it_is_shown_passes(reader: Reader) -> None:
    reader.take(block("console", "$ echo one\none\n$ echo two\ntwo\n"))


def test_other_output_than_is_shown_fails(reader: Reader) -> None:
    with pytest.raises(AssertionError, match="should print\none\n\nbut it printed\ntwo"):
        reader.take(block("console", "$ echo two\none\n"))


def test_output_that_is_not_shown_fails(reader: Reader) -> None:
    with pytest.raises(AssertionError, match="printed\ntwo"):
        reader.take(block("console", "$ echo two\n"))


def test_three_dots_stand_for_anything_but_a_stack_trace(reader: Reader) -> None:
    reader.take(block("console", "$ echo one two\none ...\n"))

    with pytest.raises(AssertionError, match="Traceback"):
        reader.take(block("console", "$ echo 'Traceback (most recent call last):'\n...\n"))


def test_a_session_sees_the_files_of_the_page_and_goes_on(reader: Reader) -> None:
    reader.take(block("python", "value = 1\n", title="module.py"))
    reader.take(block("pycon", ">>> from module import value\n"))
    reader.take(block("pycon", ">>> value\n1\n"))


def test_a_session_begins_anew_when_a_file_changes(reader: Reader) -> None:
    reader.take(block("python", "value = 1\n", title="module.py"))
    reader.take(block("pycon", ">>> from module import value\n"))
    reader.take(block("python", "value = 2\n", append="module.py"))

    with pytest.raises(AssertionError, match="NameError"):
        reader.take(block("pycon", ">>> value\n1\n"))


def test_another_value_than_is_shown_fails(reader: Reader) -> None:
    with pytest.raises(AssertionError, match="Expected"):
        reader.take(block("pycon", ">>> 1 + 1\n3\n"))


def test_a_block_that_says_nothing_of_what_becomes_of_it_fails(reader: Reader) -> None:
    with pytest.raises(AssertionError, match="nothing says what becomes of the block"):
        reader.take(block("python", "forgotten = True\n"))


def test_what_a_page_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()

    with reading(home) as reader:
        reader.take(block("console", "$ sleep 600 > /dev/null 2>&1 & echo $! > pid\n"))

    left = Path("/proc", (home / "pid").read_text().strip())
    eventually(lambda: not (left / "cwd").exists())


def test_a_command_may_go_on_in_the_next_line() -> None:
    typed = "$ echo 'one\n> two'\none\n> two\n$ true\n"

    assert commands(typed) == [("echo 'one\ntwo'", "one\n> two\n"), ("true", "")]


def test_ids_hosts_and_times_are_the_same_everywhere(tmp_path: Path) -> None:
    said = "[2026-11-22 20:17:34,522: INFO] celery@host add[1c7e7c14-f18b-4623-a311-66c968fb468e] in 0.1s: 4"
    came = "[2031-01-02 03:04:05,678: INFO] celery@vm-7 add[dae5bf8e-3ab4-4d11-96fe-eef58346874e] in 0.0023s: 4"

    assert matches(said, came, tmp_path)
    assert not matches(said, came.replace(": 4", ": 5"), tmp_path)


def test_the_folder_is_the_same_everywhere(tmp_path: Path) -> None:
    assert alike(f"in {tmp_path}/queue.sqlite3", tmp_path) == "in /home/you/project/queue.sqlite3\n"


def test_lines_are_found_in_a_log_in_their_order(tmp_path: Path) -> None:
    log = "ready\nreceived\nsucceeded\n"

    assert contains("received\nsucceeded\n", log, tmp_path)
    assert not contains("succeeded\nreceived\n", log, tmp_path)
