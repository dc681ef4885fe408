"""A Python session that lives on between the blocks of a page: run as a program, in the reader's folder.

Its argument says how many seconds a block may take.

It reads one JSON string per line, the text of a block, checks it as a doctest, and answers with one JSON string: what
differs, or nothing.
"""

import doctest
import json
import signal
import sys
from io import StringIO
from typing import Any


def main() -> None:
    """Check blocks until there are no more."""
    seconds = int(sys.argv[1])
    signal.signal(signal.SIGALRM, _too_long)
    answers = sys.stdout
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, line in enumerate(sys.stdin):
        answers.write(json.dumps(check(json.loads(line), names, f"block {number}", seconds)) + "\n")
        answers.flush()


def check(text: str, names: dict[str, Any], title: str, seconds: int) -> str:
    """What differs between the block and what happens."""
    test = doctest.DocTestParser().get_doctest(text, names, title, None, 0)
    said = StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    signal.alarm(seconds)
    runner.run(test, out=said.write, clear_globs=False)
    signal.alarm(0)
    names.update(test.globs)
    return said.getvalue()


def _too_long(*_: Any) -> None:
    raise TimeoutError("the block took too long")


if __name__ == "__main__":
    sys.path.insert(0, "")
    main()
