"""The status of a MarketStream, typed.

A status is written as a merge patch: what is not known is null on its top levels, which removes an older value, and is
left out inside lists.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from marketstream_operator.resource.fields import about
from marketstream_operator.resource.pods import Word

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Generation = Annotated[int, Meta(ge=0, extra_json_schema={"format": "int64"})]
Rate = Annotated[float, Meta(ge=0)]
Time = Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]
"""RFC 3339, in UTC: 2026-03-01T12:00:00Z. See `time_text`."""


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    """One side of how the stream is."""

    type: Annotated[
        Annotated[str, Meta(max_length=63)],
        about(
            "Ready: all pairs run. Progressing: the operator, or a rollout, is at work. Degraded: a pod "
            "fails. SpecValid: the spec can work. KafkaReady: the topics are there. ProducersReady, ProcessorsReady: "
            "their pods are ready. Fresh: the exchange's trades are heard. Paused: the stream rests."
        ),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], about("Whether it is so.")]
    reason: Annotated[
        Annotated[str, Meta(max_length=128, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")],
        about("Why, in one word that programs can rely on; docs/reference/marketstream.md lists them all."),
    ]
    message: Annotated[Annotated[str, Meta(max_length=32_768)], about("Why, in words for people, and what to do.")]
    last_transition_time: Annotated[Time, about("When the status last turned from one to another.")]
    observed_generation: Annotated[Generation, about("The generation of the spec that the condition speaks of.")]


class SymbolStatus(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How one symbol is."""

    name: Annotated[Annotated[str, Meta(max_length=32)], about("The symbol, as in the spec.")]
    pair: Annotated[Word, about("The pair that streams it, as in the names <stream>-<pair>-producer.")]
    last_trade_time: Annotated[Time | None, about("When its last trade happened, by the exchange's clock.")] = None
    trades_per_second: Annotated[Rate | None, about("Its trades per second of late, to two digits.")] = None
    complete: Annotated[
        bool | None, about("Whether no trade is missing: its newest closed candle is provably complete.")
    ] = None


class PairsStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many pairs there are."""

    desired: Annotated[Count, about("Pairs that the spec asks for.")]
    ready: Annotated[Count, about("Pairs whose producer and processor are both ready.")]
    summary: Annotated[Annotated[str, Meta(max_length=32)], about("Both, as kubectl get shows them: 2/3.")]

    @classmethod
    def of(cls, desired: int, ready: int) -> "PairsStatus":
        """With the summary that belongs to the numbers."""
        return cls(desired=desired, ready=ready, summary=f"{ready}/{desired}")


class Status(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the operator has observed. It is written at once when a condition changes, otherwise once a minute."""

    observed_generation: Annotated[
        Generation | None, about("The generation of the spec that the operator has last acted on.")
    ] = None
    conditions: Annotated[
        tuple[Condition, ...], about("How the stream is, side by side.", keys=["type"], max_length=32)
    ] = ()
    symbols: Annotated[tuple[SymbolStatus, ...], about("How each symbol is.", listed="atomic", max_length=1_000)] = ()
    symbol_count: Annotated[Count | None, about("How many symbols are streamed.")] = None
    pairs: Annotated[PairsStatus | None, about("How many producer and processor pairs there are.")] = None
    last_trade_time: Annotated[
        Time | None, about("When the last trade of any of the symbols happened, by the exchange's clock.")
    ] = None
    trades_per_second: Annotated[Rate | None, about("Trades per second of all the symbols, to two digits.")] = None
    reason: Annotated[
        Annotated[str, Meta(max_length=128)] | None,
        about(
            "The reason that matters most: why the stream is not Ready; else what is wrong all the same; else Running."
        ),
    ] = None
