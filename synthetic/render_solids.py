"""Solids in their light."""

import numpy as np
from numpy.typing import NDArray

from synthetic.contents import Semantic
from synthetic.render_hits import Hits, find_hits
from synthetic.render_light import Radiance, Rgb, decode
from synthetic.render_materials import PAINTERS
from synthetic.render_shadow import ShadowMap
from synthetic.render_visibility import RayGrid, Visibility


def shade_solids(
    grain: NDArray[np.uint8],
    light: Radiance,
    shadows: ShadowMap,
    grid: RayGrid,
    seen: Visibility,
    where: NDArray[np.int64],
) -> Rgb:
    """Linear colours (N, 3), without haze, of the rays with flat grid indices `where` (N,); each must hit a solid."""
    hits = find_hits(grid, seen, grain, where)
    material = hits.table.material[hits.part]
    encoded = np.empty((len(where), 3), np.float32)
    for kind, paint in PAINTERS.items():
        chosen = np.flatnonzero(material == kind)
        if len(chosen):
            encoded[chosen] = paint(hits.where(chosen))
    return decode(encoded) * _irradiance(light, shadows, seen, hits)


def _irradiance(light: Radiance, shadows: ShadowMap, seen: Visibility, hits: Hits) -> Rgb:
    """Light (N, 3) on the hit points: the sun by the angle of the face, the sky by how much of it the face sees."""
    sun = np.array([s.global_from_solid[:3, :3].T @ light.sun_direction for s, _ in seen.parts], np.float32)
    # One row per face of every part: x, y, z and then their opposites.
    cosines = np.clip(np.concatenate([sun, -sun], axis=1), 0, 1)
    skies = np.array([0.62, 0.62, 1.0, 0.62, 0.62, 0.24], np.float32)
    face = hits.face + 3 * (np.take_along_axis(hits.on, hits.face[None], axis=0)[0] < 0)
    cosine, sky = cosines[hits.part, face], skies[face]
    lumps = np.flatnonzero(hits.table.round[hits.part])
    if len(lumps):
        normal = hits.on[:, lumps] / hits.table.half_m[hits.part[lumps]].T
        normal /= np.sqrt(np.sum(normal * normal, axis=0))
        towards = np.clip(np.sum(normal * sun[hits.part[lumps]].T, axis=0), 0, 1)
        # Leaves let light through and scatter it.
        cosine[lumps], sky[lumps] = 0.25 + 0.75 * towards, 0.62 + 0.38 * normal[2]
    cosine *= _sunlit(light, shadows, seen)[hits.part]
    sky -= 0.2 * np.exp(hits.up_m * np.float32(-1 / 0.6))
    irradiance: Rgb = cosine[:, None] * light.sun
    irradiance += sky[:, None] * light.ambient
    return irradiance


def _sunlit(light: Radiance, shadows: ShadowMap, seen: Visibility) -> NDArray[np.float32]:
    """Share of the sun (P,) that reaches the solid of each part, walls and whole buildings aside: what the ground gets
    beside it on the side of the sun, where its own shadow does not lie."""
    towards = light.sun_direction[:2] / max(float(np.linalg.norm(light.sun_direction[:2])), 1e-6)
    beside = [s.global_from_solid[:2, 3] + towards * (np.hypot(*s.size_m[:2]) / 2 + 0.5) for s, _ in seen.parts]
    is_building = np.array([s.semantic == Semantic.BUILDING for s, _ in seen.parts])
    return np.where(is_building, 1, 1 - shadows.sun_hidden_at(np.array(beside))).astype(np.float32)


def semantic_of(seen: Visibility) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Class and instance (P,) of every part."""
    semantic = np.array([solid.semantic for solid, _ in seen.parts], np.uint8)
    return semantic, np.array([solid.instance for solid, _ in seen.parts], np.uint16)
