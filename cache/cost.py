"""What a build costs: wall time, processor time and memory of this process and all its descendants."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

SAMPLE_S = 0.5


@dataclass(frozen=True)
class Cost:
    """Cost of a build, or of one attempt at it.

    Attributes:
        wall_s: seconds while an attempt was running; the pauses between attempts do not count.
        cpu_s: processor seconds of the process tree.
        peak_memory_bytes: largest sum of resident sets over the process tree, sampled; pages that processes share
            count once for each, so this is an upper bound.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        peak = max(self.peak_memory_bytes, other.peak_memory_bytes)
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, peak)


class CostMeter:
    """Measures the cost of a `with` block by sampling the process tree in a thread."""

    def __enter__(self) -> Self:
        self._start_wall_s = time.monotonic()
        self._peak_bytes = 0
        self._start_cpu_s = self._cpu_s = 0.0
        self._start_cpu_s = self._sample()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cost", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def read(self, *, fresh: bool = False) -> Cost:
        """The cost so far; processor time and memory may be `SAMPLE_S` old unless `fresh`."""
        if fresh:
            self._sample()
        wall_s = time.monotonic() - self._start_wall_s
        return Cost(wall_s, max(0.0, self._cpu_s - self._start_cpu_s), self._peak_bytes)

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self._sample()

    def _sample(self) -> float:
        import psutil  # 20 ms, and only builds need it

        cpu_s, memory_bytes = 0.0, 0
        me = psutil.Process()
        for process in [me, *me.children(recursive=True)]:
            with suppress(psutil.Error):  # it ended between the listing and now
                # A child's time moves into its parent's children_* when the parent has waited for it.
                times = process.cpu_times()
                cpu_s += times.user + times.system + times.children_user + times.children_system
                memory_bytes += process.memory_info().rss
        self._cpu_s, self._peak_bytes = cpu_s, max(self._peak_bytes, memory_bytes)
        return cpu_s
