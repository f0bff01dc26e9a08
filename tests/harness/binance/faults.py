"""What goes wrong with the frames of trades: each fault takes the next so many of one symbol, or of all."""

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
    """The faults that were asked for, first asked first done."""

    def __init__(self) -> None:
        self._asked: deque[_Fault] = deque()

    def add(self, kind: Kind, count: int, symbol: str | None = None) -> None:
        """Does so to the next `count` trades of `symbol`, or of any."""
        self._asked.append(_Fault(kind, symbol, count))

    @property
    def pending(self) -> bool:
        """Whether any is still to be done."""
        return bool(self._asked)

    def frames(self, payload: Payload) -> Iterator[str]:
        """What is sent for one trade, which is usually itself."""
        fault = next((asked for asked in self._asked if asked.symbol in (None, payload["s"])), None)
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
            self._asked.remove(fault)


def combined(payload: Payload) -> str:
    """A frame of combined streams (WebSocket Streams: General WSS information)."""
    return json.dumps({"stream": f"{payload['s'].lower()}@trade", "data": payload}, separators=(",", ":"))
