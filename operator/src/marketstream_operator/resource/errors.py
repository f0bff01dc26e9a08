"""The error of a spec that cannot work."""


class SpecError(ValueError):
    """A spec that cannot work. Its text is `field: message`.

    `field` is the path of the field, as in `spec.symbols[1]`. `message` says what was given, what was expected and what
    to do.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
