"""Hashes of Redis, which hold only text, as types."""

import pytest
from marketstream.redis.errors import LiveStoreContentError
from marketstream.redis.hashes import LiveStatus, parse_hash


def test_text_becomes_numbers_flags_and_none() -> None:
    fields = {
        "price": "1.5",
        "heard_until": "1610064046.9",
        "complete_until": "",
        "open_holes": "2",
        "backfilling": "1",
    }
    status = parse_hash(fields | {"backfilling": "1"}, LiveStatus, "a hash")
    assert status == LiveStatus(price="1.5", heard_until=1610064046.9, open_holes=2, backfilling=True)


def test_fields_of_later_versions_are_ignored() -> None:
    assert parse_hash({"lag": "3", "mood": "good"}, LiveStatus, "a hash") == LiveStatus(lag=3)


def test_an_error_names_the_origin_and_the_field() -> None:
    with pytest.raises(LiveStoreContentError, match=r"^a hash holds data that no processor writes: .*open_holes"):
        parse_hash({"open_holes": "many"}, LiveStatus, "a hash")
