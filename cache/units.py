"""The units of work of one build, shared by any number of processes without a coordinator."""

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0


class Pause:
    """Waits between two looks at what others do: longer every time, for a look at a bucket costs money."""

    def __init__(self) -> None:
        self._next_s = FIRST_PAUSE_S

    def __call__(self) -> None:
        """Waits."""
        time.sleep(self._next_s)
        self._next_s = min(LONGEST_PAUSE_S, 1.3 * self._next_s)

    def reset(self) -> None:
        """Something happened: the next pause is short again."""
        self._next_s = FIRST_PAUSE_S


class Units:
    """What is left to do, for this process and the others that work on the same artifact.

    A serial stage iterates; one with workers of its own takes as many units as it has room for:

        for unit in build.units(names):           units = build.units(names)
            ...                                   while not units.finished:
            build.mark_done(unit, files)              submit(units.take(room)); build.mark_done(one that is ready)
                                                  units.end()

    Args:
        names: of all units, done ones included.
        is_done: whether a unit is done, by whomever.
        claim: tries to claim a unit for this process; False if it is another's, or done since.
        lead: returns once this process alone is to finish the artifact, or does not return; see `Build.lead`.
    """

    def __init__(
        self,
        names: Iterable[str],
        is_done: Callable[[str], bool],
        claim: Callable[[str], bool],
        lead: Callable[[], None],
    ) -> None:
        self._is_done, self._claim, self._lead = is_done, claim, lead
        self._free = deque(name for name in names if not is_done(name))
        self._taken: set[str] = set()
        self.left_at_start = len(self._free)
        self._pause = Pause()

    @property
    def finished(self) -> bool:
        """Whether every unit is done."""
        self._taken = {name for name in self._taken if not self._is_done(name)}
        return not self._free and not self._taken

    def take(self, limit: int = 1) -> list[str]:
        """Claims up to `limit` units that are neither done nor another living process's; maybe none."""
        taken: list[str] = []
        for _ in range(len(self._free)):
            if len(taken) >= limit:
                break
            name = self._free.popleft()
            if self._is_done(name):
                continue
            if not self._claim(name):
                self._free.append(name)
                self._free.rotate(secrets.randbelow(len(self._free)))  # away from where the others are
            else:
                taken.append(name)
        self._taken.update(taken)
        if taken:
            self._pause.reset()
        return taken

    def wait(self) -> None:
        """A pause, for when the others have all that is left."""
        self._pause()

    def end(self) -> None:
        """Call when all units are done, before finishing the artifact. Only the process that leads returns from it."""
        self._lead()

    def __iter__(self) -> Iterator[str]:
        """Claims one unit after the other, and then leads."""
        while not self.finished:
            taken = self.take()
            if taken:
                yield taken[0]
            else:
                self.wait()
        self.end()
