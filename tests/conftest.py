import signal
from collections.abc import Iterator, Sequence

import pytest

LONGEST_FIRST = (
    "tests/pipeline/test_prefect",
    "tests/end_to_end/",
    "tests/faults/",
    "tests/stages/",
    "tests/pipeline/",
)
"""Tests that start whole programs. A file's tests run in one process, so what begins last should be short."""


def pytest_configure() -> None:
    """A shell starts its background jobs deaf to Ctrl-C, and every child inherits that; some tests press it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.nodeid, LONGEST_FIRST))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums that do not hang on how many threads share them."""
    import torch  # most tests do without

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _place(name: str, order: Sequence[str]) -> int:
    return next((place for place, prefix in enumerate(order) if name.startswith(prefix)), len(order))
