"""Ask heatmaps for the region of a face that was taken from another person's photo.

    python -m benchmarks.planted_regions --images LFW --fold 1 --out docs/results

What the page draws (the mask, the bit view, the maps of a pair) is compared with RISE and Grad-CAM
on the same network, with a random and a centred order, and with a network whose weights were
shuffled (Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018).
Writes planted-regions.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from benchmarks.quality import on_stderr
from benchmarks.report import write
from daah.cli.console import about
from daah.data.labelled_faces import detect_faces
from daah.evaluation.planted import Heatmap, evaluate_planted
from daah.models.checkpoint import Checkpoint, load_checkpoint
from daah.models.ddah import DemoDDAH
from daah.models.encoder import Encoder, FaceEncoder, encode, load_encoder
from daah.models.graph import graph_of
from daah.models.layers import area_average
from daah.retrieval import explain
from daah.types import ALIGNED_SIZE, EncodedFace

#: Random masks of RISE, and cells per side of one; its authors take 7 for pictures of 224 pixels.
RISE_MASKS, RISE_CELLS = 400, 7


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, and write planted-regions.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="photos by person"
    )
    parser.add_argument("--fold", type=int, help="only the people of this fold")
    parser.add_argument("--name", default="photos", help="what the report calls them")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/demo.safetensors"))
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    chosen = parser.parse_args(arguments)
    checkpoint = load_checkpoint(chosen.checkpoint)
    encoder = load_encoder(chosen.checkpoint)
    random = randomised(chosen.checkpoint, chosen.seed)
    # Three maps of a face are drawn from the same hundred encodings.
    regions = lru_cache(maxsize=1)(lambda face: explain.bit_regions(encoder, face))
    heatmaps: dict[str, Heatmap] = {
        "mask": lambda _, face: explain.region_mask(face.mask),
        "bit view": lambda _, face: bit_view(regions(face), face),
        "pair map, bits that agree": lambda one, face: pair_map(regions(face), one, face, True),
        "pair map, bits that differ": lambda one, face: pair_map(regions(face), one, face, False),
        "RISE": Rise(encoder, chosen.seed),
        "Grad-CAM": GradCam(checkpoint.model),
        "pair map, bits that differ, random weights": lambda one, face: of_another(
            random, one, face
        ),
    }
    faces = detect_faces(chosen.images, progress=on_stderr, fold=chosen.fold)
    report = evaluate_planted(encoder, faces, heatmaps, chosen.pairs, chosen.seed, on_stderr)
    said = {"data": chosen.name, "checkpoint": about(encoder)} | report.to_dict()
    write(said, chosen.out / "planted-regions.json")


def bit_view(regions: np.ndarray, face: EncodedFace) -> np.ndarray:
    """Share of a face's bits that flip where it is hidden, as the page draws it.

    Args:
        regions: (K, grid, grid) of `explain.bit_regions`.
        face: the face.

    Returns:
        (S, S) float32.
    """
    return explain.region_mask(explain.code_regions(regions, face.code.logits))


def pair_map(regions: np.ndarray, one: EncodedFace, face: EncodedFace, agree: bool) -> np.ndarray:
    """Regions that those bits of a face depend on that agree with another's, or that differ.

    Args:
        regions: (K, grid, grid) of `explain.bit_regions` of the face that is explained.
        one: the other face.
        face: the face that is explained.
        agree: whether the bits that agree are meant.

    Returns:
        (S, S) float32, as the page draws it.
    """
    which = (one.code.bits == face.code.bits) == agree
    return explain.region_mask(explain.subset_regions(regions, which))


def of_another(encoder: FaceEncoder, one: EncodedFace, face: EncodedFace) -> np.ndarray:
    """Pair map of the bits that differ by another network than the one that encoded the faces.

    Args:
        encoder: the other network.
        one: the other face.
        face: the face that is explained.

    Returns:
        (S, S) float32.
    """
    one, face = encode(encoder, [one.face, face.face])
    return pair_map(explain.bit_regions(encoder, face), one, face, agree=False)


class Rise:
    """Regions whose hiding brings a face nearer to another one (RISE, Petsiuk et al., BMVC 2018).

    Random masks hide parts of the face by the blur that the page's maps hide by; a pixel's value is
    the mean cosine of the logits over the masks that hide it.

    Args:
        encoder: the network that is explained.
        seed: seed of the masks, which are the same for every face.
    """

    def __init__(self, encoder: Encoder, seed: int) -> None:
        self.encoder = encoder
        rng = np.random.default_rng(seed)
        cell = ALIGNED_SIZE // RISE_CELLS
        side = (RISE_CELLS + 1) * cell
        masks = []
        for _ in range(RISE_MASKS):
            cells = (rng.random((RISE_CELLS + 1,) * 2) < 0.5).astype(np.float32)
            wide = Image.fromarray(cells).resize((side, side), Image.Resampling.BILINEAR)
            top, left = rng.integers(0, side - ALIGNED_SIZE + 1, 2)
            masks.append(np.asarray(wide)[top:, left:][:ALIGNED_SIZE, :ALIGNED_SIZE])
        self.hidden = np.stack(masks)  # (masks, S, S), 1 where a pixel is hidden

    def __call__(self, one: EncodedFace, face: EncodedFace) -> np.ndarray:
        """The map of `face` compared with `one`: (S, S) float32."""
        sharp = face.face.aligned.astype(np.float32)
        blurred = gaussian_filter(sharp, (explain.BLUR, explain.BLUR, 0), mode="nearest")
        pictures = (
            np.rint(sharp * (1 - hidden[..., None]) + blurred * hidden[..., None]).astype(np.uint8)
            for hidden in self.hidden
        )
        masks = face.mask[None]
        logits = np.concatenate([self.encoder.encode(p[None], masks)[0] for p in pictures])
        wanted = one.code.logits / np.linalg.norm(one.code.logits)
        nearness = logits @ wanted / np.linalg.norm(logits, axis=1)
        total = np.tensordot(nearness, self.hidden, 1)
        return total / np.maximum(self.hidden.sum(0), 1e-6)


class GradCam:
    """Grad-CAM (Selvaraju et al., ICCV 2017) of the distance between two faces' logits.

    The layer is the trunk's third stage, 7x7, of both views of the face; the mirrored view's map is
    mirrored back. The target is the cosine distance to the other face, so that a map is high where
    features make the faces differ.

    Args:
        network: in eval mode.
    """

    def __init__(self, network: DemoDDAH) -> None:
        self.network = network
        self.average = area_average(ALIGNED_SIZE, network.input_size)

    def __call__(self, one: EncodedFace, face: EncodedFace) -> np.ndarray:
        """The map of `face` compared with `one`: (S, S) float32."""
        features: list[torch.Tensor] = []

        def keep(_module: object, _inputs: object, output: torch.Tensor) -> None:
            output.retain_grad()
            features.append(output)

        hook = self.network.trunk.stages[2].register_forward_hook(keep)
        try:
            picture = torch.from_numpy(face.face.aligned.copy()).permute(2, 0, 1)[None].float()
            picture = self.average @ picture @ self.average.T
            mask = torch.from_numpy(face.mask)[None, None]
            logits = self.network.encode(picture.requires_grad_(), lambda _: mask).logits
            other = torch.from_numpy(one.code.logits)[None]
            (1 - F.cosine_similarity(logits, other)).sum().backward()
        finally:
            hook.remove()
        own = torch.cat(features)
        gradients = torch.cat([stage.grad for stage in features])
        weights = gradients.mean((2, 3), keepdim=True)
        ahead, mirrored = (weights * own.detach()).sum(1, keepdim=True).relu()
        cam = (ahead + mirrored.flip(2))[None]
        side = (ALIGNED_SIZE, ALIGNED_SIZE)
        return F.interpolate(cam, side, mode="bilinear", align_corners=False)[0, 0].numpy()


def randomised(path: Path, seed: int) -> FaceEncoder:
    """The encoder of a checkpoint whose every weight was shuffled within its own tensor.

    Shuffling keeps the scale of each layer, so that the network neither saturates nor vanishes.

    Args:
        path: the checkpoint.
        seed: seed of the shuffle.

    Returns:
        The encoder.
    """
    checkpoint: Checkpoint = load_checkpoint(path)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in checkpoint.model.parameters():
            order = torch.randperm(weights.numel(), generator=generator)
            weights.copy_(weights.flatten()[order].view_as(weights))
    return FaceEncoder(graph_of(checkpoint.model), checkpoint.card())


if __name__ == "__main__":
    main()
