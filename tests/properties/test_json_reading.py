"""Which JSON text the fast reader is trusted with: what it reads must be what Python reads, digit for digit."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs._core import is_plain_json
from celery_rs.errors import ContentError
from celery_rs.serializers import JSON

NUMBERS = (
    st.integers(-(10**22), 10**22) | st.floats() | st.sampled_from([-(2**63) - 1, -(2**63), 2**64, 2**64 - 1, -0.0])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def exact(value: Any) -> str:
    """Equal only for equal values of equal types; a NaN equals itself."""
    return repr(value)


@settings(max_examples=600)
@given(VALUES, st.booleans())
def test_every_value_is_read_as_python_reads_it(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return  # a single surrogate cannot travel unescaped

    assert exact(JSON.loads(data)) == exact(json.loads(text))


@settings(max_examples=600)
@given(st.text(alphabet='{}[]:,"\\tru0123456789-+.eE naNIfity', max_size=40))
def test_text_that_may_be_json_is_read_or_refused_as_python_does(text: str) -> None:
    try:
        expected = exact(json.loads(text))
    except ValueError:
        expected = "refused"

    try:
        read = exact(JSON.loads(text.encode()))
    except ContentError:
        read = "refused"

    assert read == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(data: bytes) -> None:
    digits = max((len(run) for run in "".join(chr(b) if 48 <= b <= 57 else " " for b in data).split()), default=0)

    assert is_plain_json(data) == (digits < 19 and b'"__type__"' not in data)
