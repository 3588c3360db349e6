"""Shallow methods against answers known by hand or from faiss."""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
import pytest

from daah import codes, metrics
from daah.comparison.methods.bihalf import BihalfNet
from daah.comparison.methods.itq import ITQ, PCASigns
from daah.comparison.methods.kernel import KSH, SDH, AnchorKernel, classifier_of, discrete_codes
from daah.comparison.methods.lsh import LSH
from daah.comparison.methods.spectral import SH
from daah.comparison.methods.spherical import SpherH, spherical_distance
from daah.evaluation.dlib_itq import itq

PEOPLE, EACH, DIMENSIONS = 12, 40, 32


def known_set() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """People who differ in ten of 32 directions, under noise in all of them."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(PEOPLE), EACH)
    x = rng.standard_normal((len(labels), DIMENSIONS))
    x[:, :10] += rng.standard_normal((PEOPLE, 10))[labels]
    x = x @ np.linalg.qr(rng.standard_normal((DIMENSIONS, DIMENSIONS)))[0]
    x -= x.mean(0)
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    query = np.arange(len(x)) % 4 == 0
    return x[~query], labels[~query], x[query], labels[query]


def score(query: np.ndarray, database: np.ndarray, own: np.ndarray, theirs: np.ndarray) -> float:
    """Tie-averaged mAP by Hamming distance of logits."""
    distance = codes.hamming(*(codes.from_logits(x) for x in (query, database)))
    groups = metrics.tie_groups(distance, own[:, None] == theirs[None, :])
    return float(metrics.average_precision(groups).mean())


def fitted_score(hasher) -> float:
    train, labels, query, own = known_set()
    hasher.fit(train, labels)
    return score(hasher.encode(query), hasher.database(train), own, labels)


def faiss_score(index) -> float:
    """The same measure for the codes of a faiss index or transform."""
    train, labels, query, own = known_set()
    index.train(train)
    packed = [index.sa_encode(x) for x in (query, train)]
    groups = metrics.tie_groups(codes.hamming(*packed), own[:, None] == labels[None, :])
    return float(metrics.average_precision(groups).mean())


@pytest.mark.parametrize("bits", [8, 24])
def test_lsh_is_faiss(bits: int) -> None:
    assert fitted_score(LSH(bits)) == pytest.approx(
        faiss_score(faiss.IndexLSH(DIMENSIONS, bits, True)), abs=0.01
    )


def test_lsh_collides_by_the_angle() -> None:
    """Two vectors at angle a agree in a bit with probability 1 - a / pi."""
    angle = 0.7
    pair = np.zeros((2, 64), np.float32)
    pair[:, 0] = 1, np.cos(angle)
    pair[1, 1] = np.sin(angle)
    agree = []
    for seed in range(200):
        hasher = LSH(48, seed)
        hasher.fit(np.zeros((64, 64), np.float32), np.zeros(64, np.int64))
        bits = codes.sign(hasher.encode(pair))
        agree.append((bits[0] == bits[1]).mean())
    error = np.std(agree) / np.sqrt(len(agree))
    assert np.mean(agree) == pytest.approx(1 - angle / np.pi, abs=4 * error)
    assert error < 0.005


#: One start of ITQ ends in one local optimum, and rounding decides which: means over these count.
STARTS = range(8)


@pytest.mark.parametrize("bits", [8, 24])
def test_itq_is_faiss(bits: int) -> None:
    """The same starts end in optima equally good, within four standard errors of the means."""
    ours, theirs = [], []
    for seed in STARTS:
        transform = faiss.ITQTransform(DIMENSIONS, bits, True)
        transform.itq.seed += seed
        index = faiss.IndexPreTransform(transform, faiss.IndexLSH(bits, bits, False))
        ours.append(fitted_score(ITQ(bits, seed)))
        theirs.append(faiss_score(index))
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=4 * standard_error(ours, theirs))


@pytest.mark.parametrize("bits", [8, 24])
def test_itq_of_the_paper_quantises_better_than_faiss(bits: int) -> None:
    """The deviation that `ITQ` names: the paper's rounds never raise the loss, faiss's may."""
    train, labels, query, own = known_set()
    ours, written = np.empty(len(STARTS)), np.empty(len(STARTS))
    losses, least = np.empty(len(STARTS)), np.empty(len(STARTS))
    for i, seed in enumerate(STARTS):
        ours[i] = fitted_score(ITQ(bits, seed))
        hasher = ITQ(bits, seed)
        hasher.fit(train, labels)
        losses[i] = quantisation_loss(hasher.encode(train))
        fitted = itq(train, train, bits, seed)
        written[i] = score(itq(train, query, bits, seed), fitted, own, labels)
        least[i] = quantisation_loss(fitted)
    assert losses.mean() > least.mean() + 4 * standard_error(losses, least)
    gap = written.mean() - ours.mean()
    assert -4 * standard_error(ours, written) < gap < 0.06


def standard_error(*samples: Sequence[float]) -> float:
    """Of the difference between the means of independent samples."""
    return float(np.sqrt(sum(np.var(x, ddof=1) / len(x) for x in samples)))


def quantisation_loss(logits: np.ndarray) -> float:
    """Share of the logits' energy that signs lose, at the scale that loses least."""
    return float(1 - np.abs(logits).mean() ** 2 / np.square(logits).mean())


def test_itq_finds_the_rotation_that_was_applied() -> None:
    """Corners of a square, turned by 30 degrees: a rotation exists that loses nothing."""
    rng = np.random.default_rng(0)
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float64)[np.arange(400) % 4]
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    x = (corners + 0.02 * rng.standard_normal(corners.shape)) @ turn
    hasher = ITQ(2)
    hasher.fit(x.astype(np.float32), np.zeros(400, np.int64))
    logits = hasher.encode(x.astype(np.float32))
    loss = np.mean((np.abs(logits) - np.sqrt(0.5)) ** 2)
    assert loss < 2e-3
    assert len(np.unique(codes.sign(logits), axis=0)) == 4


def test_pca_signs_are_the_sides_of_the_axes() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 3)) * [5, 2, 0.1]
    hasher = PCASigns(2)
    hasher.fit(x, np.zeros(500, np.int64))
    agree = (codes.sign(hasher.encode(x)) == (x[:, :2] > x[:, :2].mean(0))).mean(0)
    assert np.maximum(agree, 1 - agree).min() > 0.98  # an axis has no sign of its own


def test_sh_cuts_a_line_into_halves_then_quarters() -> None:
    """On [0, 1] the eigenfunctions are cos(k pi x): signs change at 1/2, then 1/4 and 3/4, ..."""
    x = np.linspace(0, 1, 1001)[:, None]
    hasher = SH(3)
    hasher.fit(x, np.zeros(len(x), np.int64))
    bits = codes.sign(hasher.encode(x))
    changes = [x[1:, 0][bits[1:, k] != bits[:-1, k]] for k in range(3)]
    assert [len(c) for c in changes] == [1, 2, 3]
    for k, found in enumerate(changes, 1):
        expected = (2 * np.arange(k) + 1) / (2 * k)
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_sh_spends_its_bits_on_the_long_side() -> None:
    """Sides 2.5 and 1: frequencies 1/2.5, 2/2.5, 1, 3/2.5; the third bit is the short side's."""
    grid = np.stack(np.meshgrid(np.linspace(0, 2.5, 51), np.linspace(0, 1, 41)), -1).reshape(-1, 2)
    hasher = SH(4)
    hasher.fit(grid, np.zeros(len(grid), np.int64))
    assert hasher.axis.tolist() == [0, 0, 1, 0]
    np.testing.assert_allclose(hasher.frequency / np.pi, [0.4, 0.8, 1.0, 1.2], rtol=1e-6)


def test_spherh_spheres_hold_half_and_share_a_quarter() -> None:
    train, labels, _, _ = known_set()
    hasher = SpherH(16)
    hasher.fit(train, labels)
    inside = codes.sign(hasher.encode(train) + 1e-7).astype(float)
    np.testing.assert_allclose(inside.mean(0), 0.5, atol=0.02)
    shared = (inside.T @ inside / len(train))[np.triu_indices(16, 1)]
    assert np.abs(shared - 0.25).mean() <= 0.10 * 0.25 + 1e-9
    assert shared.std() <= 0.15 * 0.25 + 1e-9


def test_spherh_bit_is_inside_the_sphere() -> None:
    hasher = SpherH(1)
    hasher.centres, hasher.radii = np.array([[0.0, 0.0]]), np.array([1.0])
    logits = hasher.encode(np.array([[0.5, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(logits[:, 0], [0.5, -4.0])


def test_spherical_distance_by_hand() -> None:
    a, b = np.array([[1, 1, 0, 1]], bool), np.array([[1, 0, 0, 1], [0, 0, 1, 0]], bool)
    np.testing.assert_allclose(spherical_distance(a, b), [[1 / 2, 4 / 0.1]])


def test_anchor_kernel_by_hand() -> None:
    x = np.array([[0.0], [2.0]])
    kernel = AnchorKernel(x, anchors=2, width=1.0, seed=0)  # mean distance 1, so 2 width^2 = 2
    at_zero = kernel.anchors[:, 0] == 0
    raw = np.where(at_zero, 1.0, np.exp(-2))
    np.testing.assert_allclose(kernel(np.array([[0.0]]))[0], raw - (1 + np.exp(-2)) / 2)


def test_discrete_codes_are_the_best_of_all() -> None:
    """Four bits: coordinate descent cannot beat all 16 codes, and mostly finds the best."""
    rng = np.random.default_rng(0)
    classifier = rng.standard_normal((4, 3))
    target = rng.standard_normal((60, 4)) * 2
    start = np.where(rng.standard_normal((60, 4)) > 0, 1.0, -1.0)

    def objective(b: np.ndarray) -> np.ndarray:
        return ((b @ classifier) ** 2).sum(-1) - 2 * (b * target).sum(-1)

    every = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1).T
    lowest = np.stack([objective(np.tile(b, (60, 1))) for b in every]).min(0)
    found = discrete_codes(start, target, classifier)
    assert set(np.unique(found)) == {-1.0, 1.0}
    assert (objective(found) <= objective(start) + 1e-9).all()
    assert (objective(found) >= lowest - 1e-9).all()
    assert (objective(found) <= lowest + 1e-9).mean() > 0.7


def test_classifier_is_ridge_regression() -> None:
    codes_ = np.array([[1.0, 1.0], [-1.0, 1.0]])
    y = np.eye(2)
    # B^T B = 2 I, so W = B^T Y / 3 with ridge 1.
    np.testing.assert_allclose(classifier_of(codes_, y, 1.0), codes_.T / 3)


def test_sdh_training_codes_classify_linearly() -> None:
    train, labels, _, _ = known_set()
    hasher = SDH(16)
    hasher.fit(train, labels)
    y = np.eye(PEOPLE)[labels]
    predicted = (hasher.learned @ classifier_of(hasher.learned, y, 1.0)).argmax(1)
    assert (predicted == labels).mean() > 0.95


def test_supervised_beats_unsupervised_beats_chance_as_in_the_papers() -> None:
    """KSH and SDH over ITQ over LSH; SH and SpherH over chance (one in twelve)."""
    figures = {
        method.__name__: np.mean([fitted_score(method(24, seed)) for seed in range(4)])
        for method in (LSH, SH, ITQ, SpherH, KSH, SDH)
    }
    chance = 1 / PEOPLE
    assert min(figures["KSH"], figures["SDH"]) > figures["ITQ"] + 0.1
    assert figures["ITQ"] > figures["LSH"] + 0.02
    assert min(figures["SH"], figures["SpherH"]) > chance + 0.02


def test_ksh_and_sdh_gain_from_bits() -> None:
    for method in (KSH, SDH):
        assert fitted_score(method(24)) > fitted_score(method(4))


def test_bihalf_sets_half_of_each_bit_and_beats_random_directions() -> None:
    """Balanced on new rows too, although only the layer's offset knows of the halves there."""
    train, labels, query, own = known_set()
    hasher = BihalfNet(16)
    hasher.fit(train, labels)
    assert np.abs((hasher.encode(query) > 0).mean(0) - 0.5).max() < 0.2
    found = score(hasher.encode(query), hasher.encode(train), own, labels)
    assert found > np.mean([fitted_score(LSH(16, seed)) for seed in range(3)])


@pytest.mark.parametrize("method", [LSH, SH, ITQ, PCASigns, SpherH, KSH, SDH, BihalfNet])
def test_every_method_repeats_itself_and_encodes_rows_alone(method) -> None:
    train, labels, query, _ = known_set()
    first, second = method(12, seed=3), method(12, seed=3)
    first.fit(train, labels)
    second.fit(train, labels)
    whole = first.encode(query)
    assert whole.shape == (len(query), 12)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(codes.sign(whole), codes.sign(second.encode(query)))
    np.testing.assert_allclose(first.encode(query[:1]), whole[:1], atol=1e-4)
    np.testing.assert_array_equal(first.database(train), first.encode(train))


@pytest.mark.parametrize("method", [LSH, SH, ITQ, PCASigns, SpherH, KSH, SDH, BihalfNet])
def test_every_method_says_what_it_needs(method) -> None:
    with pytest.raises(ValueError, match="features"):
        method(12).fit(np.full((40, 5), np.nan, np.float32), np.zeros(40, np.int64))
