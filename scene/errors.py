"""The error that a user can mend."""

EXIT_BAD_INPUT = 2


class InputError(Exception):
    """A configuration, data set, teacher or cache that cannot be used as it is.

    The command line prints it as one line and exits with status 2, so the message says what is wrong, where, and
    what to do about it: three parts, one sentence.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(what + (f" ({where})" if where else "") + (f": {fix}" if fix else ""))
