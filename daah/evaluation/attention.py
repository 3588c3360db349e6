"""Protocol 4: fidelity of the attention mask as an explanation of the code.

Axes: N = faces, S = 224 pixels per side, G = cells per side of a mask, F = fractions of pixels,
K = hash bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt
from scipy.spatial import ConvexHull
from skimage.draw import polygon2mask

from daah import codes
from daah.data.labelled_faces import LabelledFaces
from daah.detection.alignment import align
from daah.evaluation.corruptions import blur
from daah.evaluation.encoding import BATCH, check_lengths, count_queries, encode_faces
from daah.images import read_image
from daah.metrics.leave_one_out import leave_one_out
from daah.models.encoder import Attention, Encoder
from daah.parallel import Progress, in_order
from daah.types import ALIGNED_SIZE

#: Code length of the two mAP figures.
MAP_BITS = 64

#: Fractions of pixels that are deleted or inserted.
FRACTIONS = tuple(tenths / 10 for tenths in range(1, 10))

#: Dilation of the landmarks' convex hull, in units of the eye distance: from the mouth to the chin,
#: from the eyes over the brows, and to the edge of the cheeks.
GROWTH = 0.5

#: Standard deviation in pixels of the blur that deletes pixels. It removes every facial feature and
#: keeps colours and light plausible, which a black patch does not.
BLUR = 22.0

#: Cells per side of the random order's noise. Single random pixels would be noise that no network
#: has seen, so that any random deletion would change the code. Patches as coarse as the mask's own
#: cells compare regions with regions.
_RANDOM_CELLS = 14

_KINDS = ("deletion", "insertion")

#: Factors by which the frame is widened each way.
CONTEXTS = (1.0, 1.5, 2.0)


@dataclass(frozen=True, eq=False)
class FidelityCurves:
    """Mean normalised Hamming distance to the original code at each fraction of pixels.

    Deletion blurs that fraction of the pixels; insertion keeps only that fraction sharp in a
    blurred face. The baselines change the same number of pixels in another order.

    Attributes:
        fractions: (F,) fractions of pixels in (0, 1).
        deletion: (F,) most attended pixels first.
        deletion_random: (F,) in random order.
        deletion_gaussian: (F,) from the centre of the frame outwards.
        insertion: (F,) most attended pixels first.
        insertion_random: (F,) in random order.
        insertion_gaussian: (F,) from the centre of the frame outwards.
        blurred: distance of the fully blurred face.
    """

    fractions: np.ndarray
    deletion: np.ndarray
    deletion_random: np.ndarray
    deletion_gaussian: np.ndarray
    insertion: np.ndarray
    insertion_random: np.ndarray
    insertion_gaussian: np.ndarray
    blurred: float


@dataclass(frozen=True, eq=False)
class AttentionReport:
    """Protocol 4 of one checkpoint on one tree of photos.

    Attributes:
        images: faces that masks and mAP are measured on.
        sample: faces among them that the curves are measured on.
        inside_mass_ratio: share of the mask's mass inside the face region over the region's share
            of pixels; 1 for a uniform mask.
        by_context: the same ratio by how much the frame is widened.
        curves: deletion and insertion curves.
        mask_spread_within: standard deviation within a mask, mean over the faces.
        mask_spread_between: standard deviation of a pixel over the faces, mean over the pixels; 0
            if all faces have the same mask.
        map_with_mask: mAP at `MAP_BITS` bits.
        map_without_mask: the same with the mask disabled.
    """

    images: int
    sample: int
    inside_mass_ratio: float
    by_context: dict[float, float]
    curves: FidelityCurves
    mask_spread_within: float
    mask_spread_between: float
    map_with_mask: float
    map_without_mask: float

    def to_dict(self) -> dict[str, object]:
        """The report as plain JSON values, each curve as its mean over the fractions."""
        return {
            "images": self.images,
            "inside_mass_ratio": self.inside_mass_ratio,
            "deletion": float(self.curves.deletion.mean()),
            "deletion_random": float(self.curves.deletion_random.mean()),
            "deletion_gaussian": float(self.curves.deletion_gaussian.mean()),
            "insertion": float(self.curves.insertion.mean()),
            "insertion_random": float(self.curves.insertion_random.mean()),
            "insertion_gaussian": float(self.curves.insertion_gaussian.mean()),
            "mask_spread_within": self.mask_spread_within,
            "mask_spread_between": self.mask_spread_between,
            "map_with_mask": self.map_with_mask,
            "map_without_mask": self.map_without_mask,
        }

    def details(self) -> dict[str, object]:
        """What `to_dict` leaves out: curves, widened frames and sample size, as JSON values."""
        return {
            "sample": self.sample,
            "inside_mass_ratio_by_context": {str(k): v for k, v in self.by_context.items()},
            "curves": {
                name: value if isinstance(value, float) else value.tolist()
                for name, value in vars(self.curves).items()
            },
        }


def evaluate_attention(
    encoder: Encoder,
    faces: LabelledFaces,
    sample: int = 200,
    seed: int = 0,
    progress: Progress | None = None,
) -> AttentionReport:
    """Evaluate the masks of an encoder on photos with background.

    Args:
        encoder: the encoder; it has codes of `MAP_BITS` bits.
        faces: of `data.labelled_faces.detect_faces`; the photos must still be readable.
        sample: number of faces for the curves, which take 56 encodings each.
        seed: seed of the sample and of the random orders.
        progress: called with steps done, their number, and the name of the step.

    Returns:
        The report.

    Raises:
        ConfigError: the encoder has no codes of `MAP_BITS` bits.
        DataError: there are no queries (see `count_queries`).
        ImageError: a photo of the sample cannot be read any more.
    """
    check_lengths(encoder, (MAP_BITS,))
    count_queries(faces.labels)
    with_mask, masks = encode_with_masks(encoder, faces.aligned, "model", progress)
    without, _ = encode_with_masks(encoder, faces.aligned, "off", progress)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(faces))[:sample])
    return AttentionReport(
        images=len(faces),
        sample=len(chosen),
        inside_mass_ratio=inside_mass_ratio(masks, face_regions(faces.aligned_landmarks)),
        by_context={
            context: _ratio_in_context(encoder, faces, chosen, context, progress)
            for context in CONTEXTS
        },
        curves=fidelity_curves(
            lambda images: encode_faces(encoder, images),
            faces.aligned[chosen],
            masks[chosen],
            rng,
            progress,
        ),
        mask_spread_within=float(masks.std((1, 2)).mean()),
        mask_spread_between=float(masks.std(0).mean()),
        map_with_mask=leave_one_out(with_mask, faces.labels, MAP_BITS).map,
        map_without_mask=leave_one_out(without, faces.labels, MAP_BITS).map,
    )


def encode_with_masks(
    encoder: Encoder,
    aligned: np.ndarray,
    attention: Attention = "model",
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Encode faces in batches, and return their masks too.

    Args:
        encoder: the encoder.
        aligned: (N, 224, 224, 3) uint8.
        attention: as of `Encoder.encode`.
        progress: called with batches done, their number, and the step.

    Returns:
        Logits (N, K) float32 and masks (N, G, G) float32 in [0, 1].
    """
    batches = [slice(start, start + BATCH) for start in range(0, len(aligned), BATCH)]

    def encode(batch: slice) -> tuple[np.ndarray, np.ndarray]:
        own = attention if isinstance(attention, str) else attention[batch]
        return encoder.encode(aligned[batch], own)

    pairs = list(in_order(encode, batches, "Encoding", progress))
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


def inside_mass_ratio(masks: np.ndarray, regions: np.ndarray) -> float:
    """Mean over the faces of (share of mask mass inside the region) / (share of pixels inside).

    A mask of zeros counts as uniform.

    Args:
        masks: (N, G, G) in [0, 1].
        regions: (N, S, S) bool, S a multiple of G, none of them empty.

    Returns:
        The ratio; 1 for uniform masks.
    """
    count, grid = len(masks), masks.shape[1]
    cell = regions.shape[1] // grid
    regions = regions.reshape(count, grid, cell, grid, cell).mean((2, 4), dtype=np.float32)
    area = regions.mean((1, 2))
    mass = masks.mean((1, 2), dtype=np.float64)
    inside = (masks * regions).mean((1, 2), dtype=np.float64)
    share = np.where(mass > 0, inside / np.maximum(mass, 1e-12), area)
    return float((share / area).mean())


def face_regions(landmarks: np.ndarray) -> np.ndarray:
    """Face regions: the convex hull of the landmarks, dilated by `GROWTH` times the eye distance.

    Args:
        landmarks: (N, 5, 2) in the aligned frame.

    Returns:
        (N, G, G) bool.
    """
    regions = np.empty((len(landmarks), ALIGNED_SIZE, ALIGNED_SIZE), bool)
    for region, points in zip(regions, landmarks.astype(np.float64), strict=True):
        corners = points[ConvexHull(points).vertices][:, ::-1]  # rows before columns
        hull = polygon2mask(region.shape, corners - 0.5)
        reach = GROWTH * np.linalg.norm(points[1] - points[0])
        region[:] = distance_transform_edt(~hull) <= reach
    return regions


def fidelity_curves(
    encode: Callable[[np.ndarray], np.ndarray],
    aligned: np.ndarray,
    masks: np.ndarray,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> FidelityCurves:
    """Deletion and insertion curves (Petsiuk et al., "RISE", BMVC 2018) on the code.

    Args:
        encode: faces (B, S, S, 3) uint8 to logits (B, K); the mask is computed from the changed
            face.
        aligned: (N, S, S, 3) uint8.
        masks: (N, G, G), masks of the unchanged faces.
        rng: source of the random order, and of the order of tied pixels.
        progress: called with faces done, their number, and the step.

    Returns:
        Means over the faces.
    """
    soften = blur(BLUR)
    orders = ("", "_random", "_gaussian")
    sums = {kind + order: np.zeros(len(FRACTIONS)) for kind in _KINDS for order in orders}
    blurred_sum = 0.0
    for done, (face, mask) in enumerate(zip(aligned, masks, strict=True), 1):
        blurred = soften(face)
        ranks = {
            "": _ranks(_per_pixel(mask), rng),
            "_random": _ranks(_coarse_noise(rng), rng),
            "_gaussian": _ranks(-_from_middle(), rng),
        }
        images = [face, blurred]
        for order in orders:
            for fraction in FRACTIONS:
                chosen = (ranks[order] < fraction)[:, :, None]
                images += [np.where(chosen, blurred, face), np.where(chosen, face, blurred)]
        bits = codes.sign(encode(np.stack(images)))
        changed = (bits[1:] != bits[0]).mean(1)
        blurred_sum += changed[0]
        by_order = changed[1:].reshape(len(orders), len(FRACTIONS), len(_KINDS))
        for o, order in enumerate(orders):
            for k, kind in enumerate(_KINDS):
                sums[kind + order] += by_order[o, :, k]
        if progress is not None:
            progress(done, len(aligned), "Removing and restoring pixels")
    curves = {name: total / len(aligned) for name, total in sums.items()}
    return FidelityCurves(np.array(FRACTIONS), **curves, blurred=float(blurred_sum) / len(aligned))


def _ranks(importance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Importance (S, S) to the share of pixels that rank before, in [0, 1); ties at random."""
    order = np.lexsort((rng.random(importance.size), -importance.ravel()))
    ranks = np.empty(importance.size)
    ranks[order] = np.arange(importance.size) / importance.size
    return ranks.reshape(importance.shape)


def _per_pixel(mask: np.ndarray) -> np.ndarray:
    """A mask (G, G) enlarged to (S, S), without values that no cell has.

    Bilinear: bicubic, in which heatmaps are drawn, falls below the lowest cell around a sharp edge.
    A ring around the face would rank behind the farthest corner, and where it is cut off at 0, in
    an order of single random pixels.
    """
    size = (ALIGNED_SIZE, ALIGNED_SIZE)
    smooth = Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(smooth)


def _coarse_noise(rng: np.random.Generator) -> np.ndarray:
    noise = Image.fromarray(rng.random((_RANDOM_CELLS, _RANDOM_CELLS)).astype(np.float32))
    return np.asarray(noise.resize((ALIGNED_SIZE, ALIGNED_SIZE), Image.Resampling.BICUBIC))


def _from_middle() -> np.ndarray:
    """Squared distance of each pixel from the centre: the order of any centred Gaussian."""
    axis = np.arange(ALIGNED_SIZE) - (ALIGNED_SIZE - 1) / 2
    return axis[:, None] ** 2 + axis[None, :] ** 2


def _ratio_in_context(
    encoder: Encoder,
    faces: LabelledFaces,
    chosen: np.ndarray,
    context: float,
    progress: Progress | None,
) -> float:
    """`inside_mass_ratio` when the frame shows `context` times as much of the photo each way."""

    def widen(i: int) -> tuple[np.ndarray, np.ndarray]:
        matrix, points = faces.matrix[i].astype(np.float64), faces.landmarks[i]
        middle = np.linalg.solve(matrix[:, :2], np.full(2, ALIGNED_SIZE / 2) - matrix[:, 2])
        # Alignment brings landmarks to the template, so landmarks further apart give more photo.
        frame, wide = align(read_image(faces.paths[i]), middle + context * (points - middle))
        return frame, points @ wide[:, :2].T + wide[:, 2]

    widened = list(in_order(widen, chosen, f"Widening the frame {context:g} times", progress))
    _, masks = encode_with_masks(encoder, np.stack([frame for frame, _ in widened]))
    return inside_mass_ratio(masks, face_regions(np.stack([points for _, points in widened])))
