"""What can go wrong with Redis. A caller that catches LiveStoreError has caught it all."""


class LiveStoreError(Exception):
    """Base of all that the cache raises."""


class LiveStoreUnavailableError(LiveStoreError):
    """Redis is away or does not answer in time. Trying again later may help."""


class LiveStoreContentError(LiveStoreError):
    """A key holds something else than the processor writes: another program uses the same database."""
