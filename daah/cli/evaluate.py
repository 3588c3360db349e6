"""Commands that measure: quality, attention, the paper's comparison, speed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daah.cli.compare import Data, Maximum, Minimum
from daah.cli.console import (
    Aligned,
    CheckpointFile,
    Fold,
    JsonFile,
    Progress,
    about,
    emit,
    load_model,
    numbers,
)

Images = Annotated[
    Path, typer.Option(metavar="DIR", help="A folder with one folder of photos per person.")
]
Bits = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="Code lengths, such as 16,24,32. Default: all."),
]


def evaluate(
    images: Images,
    aligned: Aligned = False,
    checkpoint: CheckpointFile = None,
    bits: Bits = None,
    fold: Fold = None,
    json: JsonFile = None,
) -> None:
    """Evaluate a model on identities that are not in its training set (protocol 1).

    Leave-one-out: every photo with a mate is a query against all other photos. Reports
    tie-averaged mAP with a 95% interval, rank-1, precision at 10, and true accept rates, with and
    without re-ranking by the query's logits. Photos without a detected face are counted separately.

    \b
    Examples:
      python -m daah evaluate --images PHOTOS
      python -m daah evaluate --images LFW --fold 0
      python -m daah evaluate --images CROPS --aligned --bits 64,128 --json report.json
    """
    from daah.data.labelled_faces import read_faces
    from daah.evaluation.encoding import check_lengths
    from daah.evaluation.unseen_people import evaluate as evaluate_faces

    encoder = load_model(checkpoint)
    lengths = check_lengths(encoder, numbers(bits))  # before minutes of detection
    with Progress() as progress:
        faces = read_faces(images, aligned, progress=progress, fold=fold)
        report = evaluate_faces(encoder, faces, lengths, progress)
    for path, reason in report.skipped:
        typer.echo(f"skipped {path}: {reason}", err=True)
    emit(report.to_dict(), json)


def evaluate_open_set(
    images: Images,
    aligned: Aligned = False,
    checkpoint: CheckpointFile = None,
    bits: Bits = None,
    fold: Fold = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV of groups: a column person, or photo (PERSON/FILE), then any attributes.",
        ),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draws the DET curves into this .png.")
    ] = None,
    json: JsonFile = None,
) -> None:
    """Evaluate open-set identification: who is missed, and which strangers get a name (protocol 3).

    People with two photos or more are enrolled, by one photo or by all but one, fused; people with
    one photo are strangers. Reports FNIR at FPIR 10%, 1% and 0.3% with intervals, by code length
    and size of the gallery, rank-1 misses, DET curves, both rates at the shipped limit of a match
    and of what the app decides, and error rates by group of photos at the shipped thresholds.

    \b
    Examples:
      python -m daah evaluate-open-set --images PHOTOS
      python -m daah evaluate-open-set --images LFW --fold 1 --bits 128,256 --json report.json
      python -m daah evaluate-open-set --images PHOTOS --groups people.csv --figure det.png
    """
    from daah.data.labelled_faces import read_faces
    from daah.evaluation.encoding import check_lengths
    from daah.evaluation.open_set import evaluate_identification
    from daah.evaluation.slices import read_slices

    encoder = load_model(checkpoint)
    lengths = check_lengths(encoder, numbers(bits))  # before minutes of detection
    with Progress() as progress:
        faces = read_faces(images, aligned, progress=progress, fold=fold)
        slices = read_slices(groups, faces) if groups else ()
        report = evaluate_identification(encoder, faces, lengths, progress, slices)
    if figure is not None:
        from daah.evaluation.det import det_figure
        from daah.plots import save_figure

        save_figure(det_figure(report), figure)
    emit(report.to_dict(), json)


def evaluate_attention(
    images: Images,
    checkpoint: CheckpointFile = None,
    sample: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of faces for deletion and insertion.")
    ] = 200,
    control: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A model that was trained as long without a mask, to compare with."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the sample and the occluders.")] = 0,
    fold: Fold = None,
    json: JsonFile = None,
) -> None:
    """Evaluate the faithfulness of the heatmaps, on photos with background.

    Mass inside the face, deletion and insertion against random and centred order, spread of the
    masks, mAP with and without the mask, and the same with sunglasses, masks, hands, scarves,
    microphones and other faces in front of the queries.

    \b
    Examples:
      python -m daah evaluate-attention --images PHOTOS --sample 50
      python -m daah evaluate-attention --images PHOTOS --control runs/demo/control.onnx
    """
    from daah.data.labelled_faces import detect_faces
    from daah.evaluation.attention import MAP_BITS
    from daah.evaluation.attention import evaluate_attention as evaluate_masks
    from daah.evaluation.encoding import check_lengths
    from daah.evaluation.occlusion import evaluate_occlusion

    encoder = load_model(checkpoint)
    control_encoder = load_model(control) if control else None
    check_lengths(encoder, (MAP_BITS,))  # before minutes of detection
    with Progress() as progress:
        faces = detect_faces(images, progress=progress, fold=fold)
        report = evaluate_masks(encoder, faces, sample, seed, progress)
        covered = evaluate_occlusion(encoder, faces, control_encoder, seed, progress)
    emit(report.to_dict() | covered.to_dict(), json)


def bench(
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, help="Repetitions of each measurement.")
    ] = 7,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Measure latency, throughput and memory, each next to a baseline in the same run.

    The baseline needs dlib (pip install dlib-bin).

    \b
    Example:
      python -m daah bench --json bench.json
    """
    from daah.evaluation.speed import bench as run
    from daah.retrieval.loading import DEFAULT_CHECKPOINT

    encoder = load_model(checkpoint)
    with Progress() as progress:
        report = run(encoder, checkpoint or DEFAULT_CHECKPOINT, repeats, progress)
    emit(report.to_dict(), json)


def evaluate_closed(
    data: Data,
    checkpoint: CheckpointFile = None,
    bits: Bits = None,
    minimum: Minimum = 20,
    maximum: Maximum = 100,
    seed: Annotated[int, typer.Option(help="Seed of the split, the same as in training.")] = 0,
    json: JsonFile = None,
) -> None:
    """Evaluate a model on other photos of the people in its training set (protocol 2).

    A fifth of each person's images are queries, the rest are the database. Tie-averaged mAP,
    rank-1, precision within two bits and at k. The figures are valid only for a
    checkpoint that was trained on the same data with the same seed, or on none of the data.

    \b
    Example:
      python -m daah evaluate-closed --data FACES --checkpoint runs/paper/paper.safetensors
    """
    from daah.evaluation.closed_set import evaluate_closed as evaluate

    encoder = load_model(checkpoint)
    with Progress() as progress:
        report = evaluate(encoder, data, numbers(bits), seed, minimum, maximum, progress)
    emit({"checkpoint": about(encoder), **report.to_dict()}, json)
