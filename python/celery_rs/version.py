"""Which version this is, in the shapes that programs written for Celery compare."""

import re
from typing import NamedTuple

from celery_rs._core import RELEASE


class version_info_t(NamedTuple):  # noqa: N801  (Celery's name)
    """`releaselevel` is what follows the numbers, such as `a1`; `serial` is empty."""

    major: int
    minor: int
    micro: int
    releaselevel: str
    serial: str


def version_info_of(text: str) -> version_info_t:
    """The parts of `1.2.3a1`; what is missing is 0."""
    numbers = re.match(r"\d+(?:\.\d+){0,2}", text)
    said = [int(number) for number in numbers[0].split(".")] if numbers else []
    major, minor, micro = [*said, 0, 0, 0][:3]
    return version_info_t(major, minor, micro, text[numbers.end() :] if numbers else text, "")


__version__ = RELEASE
VERSION = version_info = version_info_of(__version__)
SERIES = f"{VERSION.major}.{VERSION.minor}"
VERSION_BANNER = f"{__version__} ({SERIES})"
