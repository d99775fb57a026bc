import signal


def pytest_configure() -> None:
    """A shell starts its background jobs deaf to Ctrl-C, and every child inherits that; some tests press it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
