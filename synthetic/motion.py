"""The body motion of the ego vehicle: what its recorded pose knows of it, and what it does not.

nuScenes records no usable height and a smooth attitude; the wheels follow every bump. Both parts are sums of sines, so
they are smooth functions of time and a pure function of the random stream.
"""

from dataclasses import dataclass

import numpy as np

from scene.transform import Matrix, rigid, rotation_from_euler
from synthetic.routes import Trajectory


@dataclass(frozen=True, eq=False)
class Wobble:
    """A sum of sines: rows of (amplitude, angular frequency in rad/s, phase)."""

    waves: Matrix

    @classmethod
    def draw(cls, rng: np.random.Generator, rms: float, periods_s: tuple[float, float], num_waves: int = 5) -> "Wobble":
        """Waves of periods within `periods_s` whose sum has this root mean square over a long time."""
        weights = rng.uniform(0.5, 1.0, num_waves)
        amplitudes = rms * np.sqrt(2.0) * weights / np.linalg.norm(weights)
        frequencies = 2 * np.pi / rng.uniform(*periods_s, num_waves)
        return cls(np.stack([amplitudes, frequencies, rng.uniform(0, 2 * np.pi, num_waves)], axis=1))

    def at(self, time_s: float) -> float:
        """Its value at one time."""
        amplitude, frequency, phase = self.waves.T
        return float(np.sum(amplitude * np.sin(frequency * time_s + phase)))


@dataclass(frozen=True, eq=False)
class EgoMotion:
    """Recorded and true poses of the ego vehicle at any time of a scene."""

    trajectory: Trajectory
    slow_pitch: Wobble
    slow_roll: Wobble
    fast_pitch: Wobble
    fast_roll: Wobble
    fast_height: Wobble

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        trajectory: Trajectory,
        attitude_deg: float,
        jitter_deg: float,
        jitter_height_m: float,
    ) -> "EgoMotion":
        """Body motion with these root mean squares around a trajectory of the rear axle."""
        slow, fast = (4.0, 14.0), (0.55, 1.3)
        return cls(
            trajectory,
            Wobble.draw(rng, np.radians(attitude_deg), slow),
            Wobble.draw(rng, np.radians(attitude_deg), slow),
            Wobble.draw(rng, np.radians(jitter_deg), fast),
            Wobble.draw(rng, np.radians(jitter_deg), fast),
            Wobble.draw(rng, jitter_height_m, fast),
        )

    def recorded(self, time_s: float) -> Matrix:
        """(4, 4) global_from_ego as the tables give it: the slow attitude only, height 0."""
        x, y, heading = self.trajectory.at(time_s)
        rotation = rotation_from_euler(self.slow_roll.at(time_s), self.slow_pitch.at(time_s), heading)
        return rigid(rotation, np.array([x, y, 0.0]))

    def true(self, time_s: float) -> Matrix:
        """(4, 4) global_from_ego that the sensors feel."""
        x, y, heading = self.trajectory.at(time_s)
        roll = self.slow_roll.at(time_s) + self.fast_roll.at(time_s)
        pitch = self.slow_pitch.at(time_s) + self.fast_pitch.at(time_s)
        return rigid(rotation_from_euler(roll, pitch, heading), np.array([x, y, self.fast_height.at(time_s)]))
