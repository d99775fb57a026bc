"""Pictures of a moment: label overlays, BEV maps, projected points, mosaics. All images are RGB uint8 (h, w, 3)."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from scene.camera import pixel_grid
from scene.grid import BevGrid
from scene.labels import IGNORE, NEVER_WRITTEN
from scene.transform import Matrix

Image = NDArray[np.uint8]

# The six cameras as a driver would see them: front row left to right, rear row seen by turning round.
MOSAIC_ORDER = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")


def overlay(
    rgb: Image, class_id: NDArray[np.uint8], colours: NDArray[np.uint8], alpha: float = 0.55, skip: Sequence[int] = ()
) -> Image:
    """The image with class colours (256, 3) blended over it; classes in `skip` stay as they are.

    `class_id` (h', w') may have another size than the image: nearest neighbour.
    """
    height, width = rgb.shape[:2]
    ids = cv2.resize(class_id, (width, height), interpolation=cv2.INTER_NEAREST)
    blended = (1 - alpha) * rgb + alpha * colours[ids]
    keep = np.isin(ids, [NEVER_WRITTEN, *skip])
    return np.where(keep[..., None], rgb, blended).astype(np.uint8)


def bev_picture(
    class_id: NDArray[np.uint8],
    grid: BevGrid,
    colours: NDArray[np.uint8],
    scale: int = 4,
    faded: NDArray[np.bool_] | None = None,
) -> Image:
    """A BEV class map (X, Y) seen from above, forward up and left on the left, with the ego vehicle drawn in.

    Args:
        class_id: class of every cell.
        grid: where the cells are.
        colours: (256, 3).
        scale: picture pixels per cell.
        faded: (X, Y) bool, cells drawn at a third of their strength (not visible to any camera, say).
    """
    picture = colours[class_id].astype(np.float64)
    if faded is not None:
        picture = np.where(faded[..., None], 0.35 * picture + 0.65 * 24, picture)
    upright = np.ascontiguousarray(picture[::-1, ::-1].astype(np.uint8))
    large = cv2.resize(upright, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    # A passenger car as in nuScenes (Renault Zoe): about 4.1 x 1.7 m, the ego origin under its rear axle.
    corners = grid.cell_from_ego(np.array([[3.3, 0.87], [3.3, -0.87], [-0.8, -0.87], [-0.8, 0.87]]))
    num_x, num_y = grid.shape
    pixels = (np.array([num_y - 1, num_x - 1]) - corners[:, ::-1] + 0.5) * scale
    cv2.polylines(large, [np.round(pixels).astype(np.int32)], True, (255, 255, 255), max(1, scale // 3), cv2.LINE_AA)
    return np.asarray(large, np.uint8)


def bev_in_camera(
    class_id: NDArray[np.uint8], grid: BevGrid, ground_from_pixel: Matrix, image_hw_px: tuple[int, int]
) -> NDArray[np.uint8]:
    """The BEV class (h, w) under every pixel whose ray meets the ground inside the grid; elsewhere 255.

    `ground_from_pixel` (3, 3) is the homography of `scene.camera.ground_from_pixel` at this image size.
    """
    height, width = image_hw_px
    ground = pixel_grid(height, width) @ ground_from_pixel.T
    ahead = ground[..., 2] > 1e-6
    points = ground[..., :2] / np.where(ahead, ground[..., 2], 1.0)[..., None]
    cells, inside = grid.cells_of(points)
    return np.where(ahead & inside, class_id[cells[..., 0], cells[..., 1]], np.uint8(NEVER_WRITTEN))


def draw_points(rgb: Image, pixels: Matrix, depth_m: Matrix, max_depth_m: float = 50.0) -> Image:
    """The image with points (N, 2) as (u, v), coloured by depth (N,): near is warm, far is cool."""
    picture = rgb.copy()
    if len(pixels) == 0:  # OpenCV has no colours for no values
        return picture
    height, width = rgb.shape[:2]
    strength = np.clip(255 * (1 - depth_m / max_depth_m), 0, 255).astype(np.uint8)
    colours = cv2.applyColorMap(strength.reshape(-1, 1), cv2.COLORMAP_TURBO)[:, 0, ::-1]
    radius = max(1, round(width / 500))
    for (u, v), colour in zip(pixels, colours, strict=True):
        if -0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5:
            cv2.circle(picture, (round(u), round(v)), radius, colour.tolist(), -1, cv2.LINE_AA)
    return picture


def draw_ground_rings(
    rgb: Image, image_from_camera: Matrix, camera_from_ego: Matrix, radii_m: Sequence[float] = (5, 10, 20, 30)
) -> Image:
    """The image with circles around the ego origin drawn on the ground plane: a look at the calibration."""
    picture = rgb.copy()
    angle = np.linspace(0, 2 * np.pi, 721)
    for radius_m in radii_m:
        ring = np.stack([radius_m * np.cos(angle), radius_m * np.sin(angle), np.zeros_like(angle)], axis=-1)
        camera = ring @ camera_from_ego[:3, :3].T + camera_from_ego[:3, 3]
        homogeneous = camera @ image_from_camera.T
        near = camera[:, 2] < 0.5
        pixels = homogeneous[:, :2] / np.where(near, 1.0, homogeneous[:, 2])[:, None]
        near |= np.abs(pixels).max(axis=1) > 1e5
        for a, b in zip(range(720), range(1, 721), strict=True):
            if not near[a] and not near[b]:
                start, end = np.round(pixels[a]).astype(int).tolist(), np.round(pixels[b]).astype(int).tolist()
                cv2.line(picture, start, end, (255, 210, 0), max(1, rgb.shape[1] // 800), cv2.LINE_AA)
    return picture


def camera_mosaic(images: dict[str, Image], gap_px: int = 2) -> Image:
    """Camera images by channel name, laid out three to a row, each in as much room as the largest takes; unknown
    channels come last."""
    names = [n for n in MOSAIC_ORDER if n in images] + sorted(set(images) - set(MOSAIC_ORDER))
    height, width = (max(image.shape[axis] for image in images.values()) for axis in (0, 1))
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    canvas = np.full((rows * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px, 3), 16, np.uint8)
    for position, name in enumerate(names):
        top, left = (position // columns) * (height + gap_px), (position % columns) * (width + gap_px)
        own_height, own_width = images[name].shape[:2]
        canvas[top : top + own_height, left : left + own_width] = images[name]
    return canvas


def joined(pictures: Sequence[Image], axis: int, gap_px: int = 8) -> Image:
    """Pictures below each other (axis 0) or side by side (axis 1), each with a black gap behind it."""
    across = 1 - axis
    size = max(picture.shape[across] for picture in pictures)
    padded = []
    for picture in pictures:
        margins = [(0, 0), (0, 0), (0, 0)]
        margins[axis], margins[across] = (0, gap_px), (0, size - picture.shape[across])
        padded.append(np.pad(picture, margins))
    return np.concatenate(padded, axis=axis)


def png_bytes(rgb: Image) -> bytes:
    """The image as PNG."""
    _, buffer = cv2.imencode(".png", rgb[..., ::-1])
    return bytes(buffer)


def jpeg_bytes(rgb: Image, quality: int = 88) -> bytes:
    """The image as JPEG."""
    _, buffer = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(buffer)


def legend_entries(names: Sequence[str], colours: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """(name, CSS colour) of the classes in order, then of the ignored regions."""
    entries = [(name, "#{:02x}{:02x}{:02x}".format(*colours[i])) for i, name in enumerate(names)]
    return [*entries, ("ignored", "#{:02x}{:02x}{:02x}".format(*colours[IGNORE]))]
