"""The typed status of a MarketStream.

A status is written as a merge patch: unknown values are null at the top level, which removes an older value, and are
left out inside lists.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from marketstream_operator.resource.fields import about
from marketstream_operator.resource.pods import LabelText

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Generation = Annotated[int, Meta(ge=0, extra_json_schema={"format": "int64"})]
Rate = Annotated[float, Meta(ge=0)]
Time = Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]
"""A time in UTC by RFC 3339, such as 2026-03-01T12:00:00Z. See `time_text`."""


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    """One aspect of the state of a stream."""

    type: Annotated[
        Annotated[str, Meta(max_length=63)],
        about(
            "Ready: all pairs are running, or the stream is paused as wanted. Progressing: a change or a rollout is "
            "under way. Degraded: something is wrong, such as a failing pod. Reconciling: the stream is not as wanted "
            "yet, and waiting may help. Stalled: waiting does not help. SpecValid: the spec is valid. KafkaReady: the "
            "topics exist. ProducersReady, "
            "ProcessorsReady: their pods are ready. Fresh: data arrives from the exchange. Paused: the stream is "
            "paused."
        ),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], about("State of the condition: True, False or Unknown.")]
    reason: Annotated[
        Annotated[str, Meta(max_length=128, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")],
        about("Reason in one word, on which programs can rely. docs/reference/marketstream.md lists all reasons."),
    ]
    message: Annotated[Annotated[str, Meta(max_length=32_768)], about("Reason in words, and what to do.")]
    last_transition_time: Annotated[Time, about("Time of the last change of the status.")]
    observed_generation: Annotated[Generation, about("Generation of the spec to which the condition refers.")]


PENDING: Final = "Pending"
"""Reason of the conditions that a MarketStream has before an operator has seen it."""

FIRST_CONDITIONS: Final = tuple(
    Condition(
        type=kind,
        status="Unknown" if kind == "Ready" else "True",
        reason=PENDING,
        message="waiting for the operator",
        last_transition_time="1970-01-01T00:00:00Z",
        observed_generation=0,
    )
    for kind in ("Ready", "Reconciling")
)
"""The conditions of a new MarketStream: without them, tools that wait would take it for ready."""


class SymbolStatus(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The state of one symbol."""

    name: Annotated[Annotated[str, Meta(max_length=32)], about("The symbol, as in the spec.")]
    pair: Annotated[
        LabelText, about("The pair that streams the symbol, as in the Deployment <stream>-<pair>-producer.")
    ]
    last_trade_time: Annotated[Time | None, about("Time of the last trade, by the exchange's clock.")] = None
    trades_per_second: Annotated[Rate | None, about("Trades per second over the last minute, to two digits.")] = None
    complete: Annotated[
        bool | None, about("True if no trade is missing: the newest closed candle is provably complete.")
    ] = None


class PairsStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """The numbers of pairs."""

    desired: Annotated[Count, about("Pairs that the spec needs.")]
    ready: Annotated[Count, about("Pairs whose producer and processor are both ready.")]
    summary: Annotated[
        Annotated[str, Meta(max_length=32)], about("Ready and desired pairs, as kubectl get shows them: 2/3.")
    ]

    @classmethod
    def of(cls, desired: int, ready: int) -> "PairsStatus":
        """Return the numbers with their summary."""
        return cls(desired=desired, ready=ready, summary=f"{ready}/{desired}")


class Status(Struct, frozen=True, kw_only=True, rename="camel"):
    """The observed state. The operator writes changes of conditions at once, other changes at most once a minute."""

    observed_generation: Annotated[
        Generation | None, about("Generation of the spec that the operator has last reconciled.")
    ] = None
    conditions: Annotated[
        tuple[Condition, ...],
        about("One condition for each aspect of the state of the stream.", keys=["type"], max_length=32),
    ] = ()
    symbols: Annotated[tuple[SymbolStatus, ...], about("State of each symbol.", listed="atomic", max_length=1_000)] = ()
    symbol_count: Annotated[Count | None, about("Number of symbols that are streamed.")] = None
    pairs: Annotated[PairsStatus | None, about("Numbers of pairs of a producer and a processor.")] = None
    last_trade_time: Annotated[
        Time | None, about("Time of the last trade of any of the symbols, by the exchange's clock.")
    ] = None
    trades_per_second: Annotated[Rate | None, about("Trades per second of all symbols, to two digits.")] = None
    operator: Annotated[
        Annotated[str, Meta(max_length=320)] | None,
        about("The operator that serves the stream, by the namespace and the name of its Lease."),
    ] = None
    reason: Annotated[
        Annotated[str, Meta(max_length=128)] | None,
        about(
            "The most important reason: why the stream is not Ready; otherwise, what else is wrong; otherwise Running."
        ),
    ] = None
