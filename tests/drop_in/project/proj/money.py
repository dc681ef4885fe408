"""Amounts as values of their own, which travel in JSON; and notes in a format that only this shop has."""

from dataclasses import dataclass

from kombu.serialization import register
from kombu.utils.json import dumps, loads, register_type


@dataclass(frozen=True)
class Money:
    cents: int
    currency: str


register_type(Money, "money", lambda money: [money.cents, money.currency], lambda value: Money(*value))
register(
    "shop",
    lambda value: "shop:" + dumps(value),
    lambda text: loads(text[len("shop:") :]),
    content_type="application/x-shop",
    content_encoding="utf-8",
)
