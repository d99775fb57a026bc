"""One scene: a drive through a town, with its traffic, its light and its body motion."""

from dataclasses import dataclass, replace

import numpy as np

from synthetic.conditions import draw_light
from synthetic.contents import Light, Solid
from synthetic.motion import EgoMotion
from synthetic.routes import ego_trajectory
from synthetic.seeds import generator
from synthetic.settings import ScenePlan, WorldSettings
from synthetic.surface import Surface
from synthetic.town import Town
from synthetic.traffic import Vehicle, populate

LEAD_S = 0.5
"""The drive starts this long before the first keyframe, so that cameras that fire earlier find it under way."""
VIEW_M = 160.0


@dataclass(frozen=True, eq=False)
class Drive:
    """Everything that moves or shines in one scene."""

    plan: ScenePlan
    town: Town
    surface: Surface
    light: Light
    motion: EgoMotion
    vehicles: list[Vehicle]

    @classmethod
    def start(cls, settings: WorldSettings, plan: ScenePlan, town: Town, surface: Surface) -> "Drive":
        """Draws the scene of that name."""
        duration = LEAD_S + settings.frames_per_scene * settings.frame_interval_s
        ego = ego_trajectory(generator(settings.seed, plan.name, "ego"), town.network, duration, settings.speed_ms)
        motion = EgoMotion.draw(
            generator(settings.seed, plan.name, "motion"),
            ego,
            settings.attitude_deg,
            settings.jitter_deg,
            settings.jitter_height_m,
        )
        traffic = generator(settings.seed, plan.name, "traffic")
        vehicles = populate(traffic, town.network, ego, duration, len(town.solids) + 1)
        light = draw_light(generator(settings.seed, plan.name, "light"))
        light = replace(light, noise=light.noise * settings.noise_scale)
        return cls(plan, town, surface, light, motion, vehicles)

    def solids_at(self, time_s: float) -> list[Solid]:
        """What stands within view of the ego vehicle at that time."""
        here = self.motion.recorded(time_s)[:2, 3]
        moving = [vehicle.solid_at(time_s) for vehicle in self.vehicles]
        solids = [*self.town.solids, *moving]
        return [s for s in solids if np.linalg.norm(s.global_from_solid[:2, 3] - here) < VIEW_M]
