"""Augmentation: repeatable, in range, each kind as named."""

import torch

from daah.data.augmentation import Augmentation


def augment(strength: float = 1.0, seed: int = 0) -> Augmentation:
    return Augmentation(torch.Generator().manual_seed(seed), strength)


def test_augmentation_repeats_by_seed_and_stays_in_range() -> None:
    faces = torch.rand(32, 3, 40, 40) * 255
    once, again, other = augment()(faces), augment()(faces), augment(seed=1)(faces)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert once.shape == faces.shape
    assert 0 <= once.min() <= once.max() <= 255


def test_without_strength_a_face_is_only_mirrored() -> None:
    faces = torch.rand(16, 3, 24, 24) * 255
    result = augment(0.0)(faces)
    for before, after in zip(faces, result, strict=True):
        difference = min((after - before).abs().max(), (after - before.flip(2)).abs().max())
        assert difference < 0.01


def test_pixels_stay_float32_in_a_network_trained_in_bfloat16() -> None:
    faces = torch.rand(32, 3, 32, 32) * 255
    with torch.autocast("cpu", torch.bfloat16):
        result = augment()(faces)
    assert torch.equal(result, augment()(faces))


def test_each_kind_of_augmentation_does_what_it_says() -> None:
    faces = torch.rand(64, 3, 32, 32) * 255
    grey = augment().grey(faces, probability=0.5)
    is_grey = (grey[:, 0] == grey[:, 1]).flatten(1).all(1)
    assert 10 < is_grey.sum() < 54
    assert torch.equal(grey[~is_grey], faces[~is_grey])
    luma = faces[is_grey] * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    torch.testing.assert_close(grey[is_grey][:, 0], luma.sum(1))

    low = augment().low_resolution(faces, probability=0.5)
    blurred = (low != faces).flatten(1).any(1)
    assert 10 < blurred.sum() < 54
    assert low[blurred].std() < faces[blurred].std()

    covered = augment().occlude(faces, probability=0.5)
    changed = (covered != faces).any(1)
    share = changed.flatten(1).float().mean(1)
    assert 10 < (share > 0).sum() < 54
    assert share.max() <= 0.42**2

    dark = augment().colour(torch.full((64, 3, 32, 32), 100.0))
    assert dark.mean((1, 2, 3)).std() > 5
