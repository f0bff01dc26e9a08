"""The errors of a spec that cannot work, or not yet."""


class SpecError(ValueError):
    """A spec that cannot work. Its text is `field: message`.

    `field` is the path of the field, as in `spec.symbols[1]`. `message` says what was given, what was expected and what
    to do.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class AwaitedError(SpecError):
    """A spec that cannot work yet, because another operator is still creating an object that it needs."""
