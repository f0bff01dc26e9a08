"""Faults of the frames of trades. Each fault affects a number of trades of one symbol, or of all."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["drop", "duplicate", "reorder", "malformed", "wrong_types"]
Payload = dict[str, Any]


@dataclass
class _Fault:
    kind: Kind
    symbol: str | None
    left: int
    held: list[str] = field(default_factory=list)


class Faults:
    """The requested faults, in order of their requests."""

    def __init__(self) -> None:
        self._requested: deque[_Fault] = deque()

    def add(self, kind: Kind, count: int, symbol: str | None = None) -> None:
        """Request a fault of the next `count` trades of `symbol`, or of any symbol."""
        self._requested.append(_Fault(kind, symbol, count))

    @property
    def pending(self) -> bool:
        """True while a requested fault is incomplete."""
        return bool(self._requested)

    def frames(self, payload: Payload) -> Iterator[str]:
        """Yield the frames to send for one trade: usually one frame."""
        fault = next((one for one in self._requested if one.symbol in (None, payload["s"])), None)
        frame = combined(payload)
        if fault is None:
            yield frame
            return
        fault.left -= 1
        match fault.kind:
            case "drop":
                pass
            case "duplicate":
                yield frame
                yield frame
            case "malformed":
                yield frame[: len(frame) // 2]
            case "wrong_types":
                yield combined(payload | {"t": str(payload["t"]), "p": float(payload["p"])})
            case "reorder":
                fault.held.append(frame)
        if fault.left == 0:
            yield from reversed(fault.held)
            self._requested.remove(fault)


def combined(payload: Payload) -> str:
    """Return a frame of combined streams (WebSocket Streams: General WSS information)."""
    return json.dumps({"stream": f"{payload['s'].lower()}@trade", "data": payload}, separators=(",", ":"))
