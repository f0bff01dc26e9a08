"""What can go wrong with Redis. A caller that catches CacheError has caught it all."""


class CacheError(Exception):
    """Base of all that the cache raises."""


class CacheUnavailableError(CacheError):
    """Redis is away or does not answer in time. Trying again later may help."""


class CacheContentError(CacheError):
    """A key holds something else than the processor writes: another program uses the same database."""
