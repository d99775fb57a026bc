"""The prev/next chains of the tables."""

from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class Chain:
    """Tokens and links of millions of rows, kept as 64-bit hashes: only their equality matters."""

    def __init__(self) -> None:
        self._token, self._prev, self._next = array("q"), array("q"), array("q")

    def add(self, token: str, prev: str, following: str) -> int:
        """Adds a row; returns its number."""
        for column, text in ((self._token, token), (self._prev, prev), (self._next, following)):
            column.append(hash(text) if text else 0)
        return len(self._token) - 1

    def broken_links(self) -> Iterator[tuple[int, str, str]]:
        """Row number, column and reason of each link that names no row, or a row that does not link back."""
        token, prev, following = (np.frombuffer(c, np.int64) for c in (self._token, self._prev, self._next))
        if not len(token):
            return
        order = np.argsort(token, kind="stable")
        for column, link, back in (("prev", prev, following), ("next", following, prev)):
            target = _row_of(link, token, order)
            dangling = (link != 0) & (target < 0)
            one_way = (target >= 0) & (back[target] != token)
            for row in np.flatnonzero(dangling):
                yield int(row), column, "names no row"
            for row in np.flatnonzero(one_way):
                yield int(row), column, "names a row that does not link back"


def _row_of(link: NDArray[np.int64], token: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row number of each link's target, -1 where there is none."""
    place = np.minimum(np.searchsorted(token, link, sorter=order), len(token) - 1)
    found: NDArray[np.int64] = np.where((token[order[place]] == link) & (link != 0), order[place], -1)
    return found
