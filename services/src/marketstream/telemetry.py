"""Structured logs on standard error, for people (console) or machines (JSON)."""

import logging
import sys
import time
from typing import Final

import structlog

REPEATED_S: Final = 10.0
"""Seconds for which an equal line of a library is left out."""

NOISY: Final = ("aiokafka", "uvicorn", "asyncio", "httpx", "websockets")
"""Libraries whose lines are shown from warnings upwards, and not again and again."""


class OnceInAWhile(logging.Filter):
    """Leaves out a line of a noisy library that was logged within the last REPEATED_S seconds.

    aiokafka logs a topic that is missing hundreds of times a second, which would fill a disk.
    """

    def __init__(self) -> None:
        super().__init__()
        self._logged: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a line to leave out."""
        if record.name.partition(".")[0] not in NOISY:
            return True
        line, now = (record.name, record.getMessage()), time.monotonic()
        if now - self._logged.get(line, now - REPEATED_S) < REPEATED_S:
            return False
        self._logged = {line: at for line, at in self._logged.items() if now - at < REPEATED_S}
        self._logged[line] = now
        return True


def configure_logging(level: str = "info", form: str = "console") -> None:
    """Send all log lines of this process, including those of libraries, through structlog to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if form == "json"
        # Pretty tracebacks would print local variables, and passwords among them.
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), pad_event_to=40, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    handler.addFilter(OnceInAWhile())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    # It logs an error each time the group's coordinator is not available yet, and then retries.
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module, used as in `log.info("candle stored", symbol=symbol)`."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound
