"""The query parameters of the endpoints. An unknown parameter is rejected; an empty one counts as missing."""

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from marketstream.api.candles import IntervalName
from marketstream.api.problems import Refusal, invalid_query

LATEST_S: Final = 253_402_300_799
"""The last second of the year 9999. A greater value is a time in ms or µs by mistake."""

UnixSeconds = Annotated[int, Field(ge=0, le=LATEST_S)]


class NoQuery(BaseModel):
    """A query without parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        known = ", ".join(cls.model_fields)
        expected = f"one of the parameters {known}" if known else "no parameters"
        if unknown := [Refusal(name, str(given[name]), expected) for name in given if name not in cls.model_fields]:
            raise invalid_query(*unknown)
        return {name: value for name, value in given.items() if value != ""}


class SymbolQuery(NoQuery):
    """The query for one symbol."""

    symbol: Annotated[
        str | None,
        Field(max_length=64, description="in upper or lower case; by default, the first symbol of the exchange"),
    ] = None
    exchange: Annotated[str | None, Field(max_length=64, description="by default, DEFAULT_EXCHANGE of the service")] = (
        None
    )


class CandlesQuery(SymbolQuery):
    """The query for candles of one symbol."""

    interval: Annotated[IntervalName, Field(description="length of the windows")] = "10s"
    start: Annotated[
        UnixSeconds | None, Field(description="Unix seconds: only windows that start at or after this time")
    ] = None
    end: Annotated[
        UnixSeconds | None,
        Field(description="Unix seconds: only windows that start before this time"),
    ] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="maximum number of candles; the newest are returned")] = 50

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise invalid_query(Refusal("start", str(self.start), f"less than end, which is {self.end}"))
        return self
