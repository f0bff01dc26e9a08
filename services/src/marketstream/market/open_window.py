"""A window that is not closed yet."""

from marketstream.market.candle import Candle
from marketstream.market.counted import CountedIds
from marketstream.market.window import WINDOW_US


class OpenWindow:
    """An open window: its candle, its counted ids, and the offset of the first record with one of its trades."""

    __slots__ = ("candle", "end_us", "first_offset", "ids")

    def __init__(self, candle: Candle, first_offset: int) -> None:
        self.candle = candle
        self.ids = CountedIds()
        self.first_offset = first_offset
        self.end_us = (candle.window + 1) * WINDOW_US
