"""Deep methods: losses by hand, each rule the papers give, and learning on faces told by colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from daah import codes
from daah.comparison.methods import METHODS
from daah.comparison.methods.adsh import ADSH, database_codes
from daah.comparison.methods.base import Budget
from daah.comparison.methods.classification import DDH, DDQH, DivideAndEncode
from daah.comparison.methods.csq import CSQ
from daah.comparison.methods.dagh import DAGH
from daah.comparison.methods.dcdh import DCDH
from daah.comparison.methods.ddah import DDAH
from daah.comparison.methods.deep import Trunk, people_batches
from daah.comparison.methods.dpn import DPN
from daah.comparison.methods.dsah import DSaH, saliency_loss
from daah.comparison.methods.dsdh import DSDH
from daah.comparison.methods.greedy import GreedyHash
from daah.comparison.methods.orthohash import OrthoHash
from daah.comparison.methods.pairwise import (
    DHN,
    DSH,
    MultiLabelDSH,
    contrastive,
    label_similarity,
    log_cosh,
    pair_cross_entropy,
)
from daah.comparison.methods.softmax_start import SoftmaxTrunk, TrunkFeatures
from daah.data.augmentation import Augmentation
from daah.metrics.query_database import score_codes
from daah.training.losses import quantisation_loss

PAPERS = (DSH, DHN, MultiLabelDSH, DSDH, DDH, DDQH, ADSH, DSaH, DDAH)
LATER = (GreedyHash, CSQ, DPN, DAGH, DCDH, OrthoHash)
LOGITS = torch.tensor([[1.0, -1.0], [0.5, 2.0], [-1.0, 1.0]])
SAME = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def coloured_faces(each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Eight people, told by the colours of the two halves of a noisy face."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(8), each)
    faces = rng.integers(60, 120, (len(labels), 32, 32, 3))
    for k in range(3):
        half = slice(0, 16) if k < 2 else slice(16, 32)
        faces[:, half, :, k] += 90 * ((labels >> k) & 1)[:, None, None]
    return faces.astype(np.uint8), labels


# ------------------------------------------------------------------------------ losses by hand


def test_contrastive_by_hand() -> None:
    """Squared distances: 9.25 (same), 8 and 3.25 (different); margin 5."""
    pull, push = 9.25, (0 + 1.75) / 2
    assert float(contrastive(LOGITS, SAME, 5.0)) == pytest.approx((pull + push) / 2)


def test_pair_cross_entropy_by_hand() -> None:
    """theta = inner products / 2: -0.75 (same), -1 and 0.75 (different)."""
    same = np.log1p(np.exp(-0.75)) + 0.75
    different = (np.log1p(np.exp(-1)) + np.log1p(np.exp(0.75))) / 2
    assert float(pair_cross_entropy(LOGITS, SAME)) == pytest.approx(same + different, rel=1e-5)


def test_pair_cross_entropy_against_stored_codes_is_the_likelihood() -> None:
    """DSDH's pairs: the mean of binary cross-entropy with theta as logit, the kinds apart."""
    stored, labels = torch.randn(5, 2), torch.tensor([[1.0, 0, 0, 1, 0]]).repeat(3, 1)
    theta = LOGITS @ stored.T / 2
    cost = F.binary_cross_entropy_with_logits(theta, labels, reduction="none")
    expected = cost[labels == 1].mean() + cost[labels == 0].mean()
    torch.testing.assert_close(pair_cross_entropy(LOGITS, labels, stored), expected)


def test_quantisation_terms_by_hand() -> None:
    assert float(quantisation_loss(LOGITS)) == pytest.approx((0 + 0.5 + 1 + 0) / 3)
    x = torch.tensor([0.0, 0.3, -90.0])
    expected = [0.0, np.log(np.cosh(0.3)), 90 - np.log(2)]
    np.testing.assert_allclose(log_cosh(x), expected, rtol=1e-5, atol=1e-7)


def test_label_similarity_is_intersection_over_union() -> None:
    sets = torch.tensor([[1.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    expected = [[1, 1 / 2, 0], [1 / 2, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(label_similarity(sets, sets), expected)


def test_saliency_loss_by_hand() -> None:
    """The same pair came nearer by 0.5 (free), different pairs by 0.5 and 0 (0.6 and 0.1)."""
    unmasked = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    masked = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, -1.0]])
    # inner products / 2: plain 0, 0, -0.5; attended 0.5, 0.5, 0.
    loss = saliency_loss(masked, unmasked, SAME, 0.1)
    assert float(loss) == pytest.approx(0 + (0.6 + 0.6) / 2)


def test_divide_and_encode_reads_slices() -> None:
    layer = DivideAndEncode(width=7, bits=3)  # slices of two, the seventh unread
    x = torch.randn(4, 7)
    changed = x.clone()
    changed[:, 2:4] += 1.0
    changed[:, 6] += 1.0
    moved = (layer(changed) != layer(x)).any(0)
    assert moved.tolist() == [False, True, False]
    weight, bias = layer.score.weight[1, 0], layer.score.bias[1]
    torch.testing.assert_close(layer(x)[:, 1], x[:, 2:4] @ weight + bias)


def test_adsh_database_step_lowers_its_objective() -> None:
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (40,), generator=rng)
    v = torch.where(torch.randn(40, 8, generator=rng) > 0, 1.0, -1.0)
    rows = torch.arange(0, 40, 2)
    u = torch.randn(20, 8, generator=rng).tanh()
    s = (labels[rows][:, None] == labels[None, :]).float() * 2 - 1

    def objective(codes_: torch.Tensor) -> float:
        fit = (u @ codes_.T - 8 * s).square().sum()
        return float(fit + 200 * (codes_[rows] - u).square().sum())

    better = database_codes(v, u, rows, s, 200.0)
    assert set(better.unique().tolist()) == {-1.0, 1.0}
    assert objective(better) < objective(v)
    # No single bit of any code can be turned to advantage after enough sweeps.
    for _ in range(20):
        better = database_codes(better, u, rows, s, 200.0)
    for i, k in [(0, 0), (1, 3), (7, 5), (20, 2)]:
        turned = better.clone()
        turned[i, k] *= -1
        assert objective(turned) >= objective(better) - 1e-3


# ------------------------------------------------------------------------------- common parts


def test_batches_hold_people_and_use_every_image() -> None:
    labels = np.repeat(np.arange(10), 12)
    rng = np.random.default_rng(0)
    drawn = list(people_batches(labels, 5, 4, 24, rng))
    for batch in drawn:
        people, counts = np.unique(labels[batch], return_counts=True)
        assert len(people) == 5
        assert (counts == 4).all()
        assert len(set(batch.tolist())) == 20
    assert len(np.unique(np.concatenate(drawn))) == len(labels)


def test_trunk_shapes() -> None:
    faces = torch.zeros(2, 3, 32, 32)
    for multi_scale, width in ((True, 2176), (False, 1024)):
        trunk = Trunk(multi_scale)
        assert trunk.fuse[0].in_features == width
        assert trunk(faces).shape == (2, 1024)


def test_dsah_networks_take_only_their_own_gradient() -> None:
    """The attention network follows the saliency loss alone: without it, no gradient."""
    faces, labels = coloured_faces(2, 0)
    hasher = DSaH(8, 0, Budget(augment=0, bfloat16=False), margin=-10.0)
    hasher.train_labels = torch.from_numpy(labels)
    hasher.train_images = faces
    hasher.network = hasher.build(8)
    hasher.train_batch(np.arange(16), Augmentation(torch.Generator()), 0.0)
    spatial = [p.grad for p in hasher.network.spatial.parameters() if p.grad is not None]
    assert max(float(g.abs().max()) for g in spatial) == 0.0
    assert float(hasher.network.head.weight.grad.abs().max()) > 0


def test_a_start_is_where_training_begins() -> None:
    faces, labels = coloured_faces(16, 0)
    budget = Budget(epochs=1, people=8, each=4, augment=0)
    start = SoftmaxTrunk(0, budget)
    start.fit(faces, labels)
    stages = start.stages()
    for method in (DDH, DDAH):
        hasher = method(8, 0, budget, lr=0.0)
        hasher.initial = stages
        hasher.fit(faces, labels)
        for key, value in hasher.stages_module().state_dict().items():
            if "running" not in key and "batches" not in key:
                torch.testing.assert_close(value, stages[key])
    features = TrunkFeatures(start)
    features.fit(faces, labels)
    rows = features.transform(faces)
    assert rows.shape == (128, 1024)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-4)


# ----------------------------------------------------------------------------------- learning


@pytest.mark.parametrize("method", PAPERS + LATER, ids=lambda m: m.__name__)
def test_every_method_learns_people(method) -> None:
    """Far better than chance (1/8) on new faces, and a face's code does not depend on others."""
    faces, labels = coloured_faces(12, 0)
    new, own = coloured_faces(4, 1)
    hasher = method(12, 0, Budget(epochs=6, people=8, each=3, augment=0))
    hasher.fit(faces, labels)
    encoded = hasher.encode(new)
    assert encoded.shape == (32, 12)
    assert encoded.dtype == np.float32
    assert score_codes(encoded, hasher.database(faces), own, labels).map > 0.6
    alone = hasher.encode(new[5:6])
    np.testing.assert_allclose(alone[0], encoded[5], rtol=1e-3, atol=1e-3)


def test_adsh_database_codes_are_signs_of_the_training_rows() -> None:
    faces, labels = coloured_faces(8, 0)
    hasher = ADSH(8, 0, Budget(epochs=1, people=8, each=4, augment=0))
    hasher.fit(faces, labels)
    assert set(np.unique(hasher.database(faces))) == {-1.0, 1.0}
    with pytest.raises(ValueError, match="64 training images"):
        hasher.database(faces[:5])


@pytest.mark.parametrize("method", [DDAH, *LATER], ids=lambda m: m.__name__)
def test_seeds_repeat_a_run(method) -> None:
    faces, labels = coloured_faces(8, 0)
    runs = []
    for _ in range(2):
        hasher = method(8, 5, Budget(epochs=1, people=8, each=4))
        hasher.fit(faces, labels)
        runs.append(hasher.encode(faces))
    np.testing.assert_array_equal(codes.sign(runs[0]), codes.sign(runs[1]))


@pytest.mark.parametrize(
    "images", [np.zeros((4, 32, 32), np.uint8), np.zeros((4, 32, 32, 3), np.float32)]
)
def test_wrong_images_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"uint8 \(N, 32, 32, 3\)"):
        DSH(8).fit(images, np.zeros(4, np.int64))


def test_the_list_is_the_papers_and_later_methods() -> None:
    shallow = ["LBP", "LSH", "SH", "ITQ", "SpherH", "KSH", "SDH"]
    deep = ["DSH", "DHN", "multi-label DSH", "DSDH", "DDH", "DDQH", "ADSH", "DSaH", "DDAH"]
    later = ["GreedyHash", "CSQ", "DPN", "DAGH", "BihalfNet", "DCDH", "OrthoHash"]
    assert list(METHODS) == shallow + deep + later
    later.remove("BihalfNet")
    assert [n for n, m in METHODS.items() if m.kind == "deep"] == deep + later
    tunable = {len(m.tries) for m in METHODS.values()} - {1}
    assert tunable == {2}
