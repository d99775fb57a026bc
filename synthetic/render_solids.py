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
    is_round = hits.table.round[hits.part]
    normal = np.where(is_round[:, None], hits.on / hits.half_m, 0)
    box = np.flatnonzero(~is_round)
    normal[box, hits.face[box]] = np.sign(hits.on[box, hits.face[box]])
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    sun_in_solid = np.array([s.global_from_solid[:3, :3].T @ light.sun_direction for s, _ in seen.parts], np.float32)
    cosine = np.clip(np.einsum("ni,ni->n", normal, sun_in_solid[hits.part]), 0, 1)
    # Leaves let light through and scatter it.
    cosine = np.where(is_round, 0.25 + 0.75 * cosine, cosine) * _sunlit(light, shadows, seen)[hits.part]
    sky = 0.62 + 0.38 * normal[:, 2] - 0.2 * np.exp(-hits.up_m / 0.6)
    irradiance: Rgb = cosine[:, None] * light.sun + sky[:, None] * light.ambient
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
