"""Ids of tasks and messages."""

import os


def new_id() -> str:
    """A random UUID (version 4) as text, at half the price of the uuid module's."""
    number = (int.from_bytes(os.urandom(16)) & _RANDOM_BITS) | _VERSION_BITS
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_VERSION_BITS = (0x4 << 76) | (0x2 << 62)
_RANDOM_BITS = ((1 << 128) - 1) & ~((0xF << 76) | (0x3 << 62))
