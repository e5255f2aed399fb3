"""The one error that is the user's to mend."""


class InputError(Exception):
    """Bad input. The message is one line: the file, the place in it and what was expected."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(str(message).split()))
