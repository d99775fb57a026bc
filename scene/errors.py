"""The error that a user can mend."""

from collections.abc import Sequence

EXIT_BAD_INPUT = 2


class InputError(Exception):
    """A configuration, data set, teacher or cache that cannot be used as it is.

    The command line prints it as one line and exits with status 2, so the message says what is wrong, where, and
    what to do about it: three parts, one sentence. Where many things are wrong at once, that line sums them up and
    `details` names them, one further line each.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "", details: Sequence[str] = ()) -> None:
        self.what, self.where, self.fix, self.details = what, where, fix, tuple(details)
        headline = what + (f" ({where})" if where else "") + (f": {fix}" if fix else "")
        super().__init__("\n  ".join([headline, *details]))
