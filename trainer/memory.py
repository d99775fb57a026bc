"""Remembering what was read or computed for a frame, up to a number of bytes."""

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from cachetools import LRUCache

T = TypeVar("T")


class ByteCache:
    """Keeps what was asked for last, up to a number of bytes; thread-safe. Arrays in it must not be changed."""

    def __init__(self, limit_bytes: int) -> None:
        self._values: LRUCache[Hashable, Any] = LRUCache(limit_bytes, getsizeof=_size)
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of `key`, made where it is not there. Two threads may both make it; the results are the same.

        A value has `nbytes`, or is a tuple of such; one that is larger than the whole cache is not kept.
        """
        with self._lock:
            if key in self._values:
                kept: T = self._values[key]
                return kept
        value = make()
        with self._lock:
            if _size(value) <= self._values.maxsize:
                self._values[key] = value
        return value


def _size(value: Any) -> int:
    return sum(part.nbytes for part in value) if isinstance(value, tuple) else int(value.nbytes)
