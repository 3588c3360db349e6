"""DSDH: pairs and a linear classifier on codes that stay discrete."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from daah.comparison.methods.base import one_hot
from daah.comparison.methods.deep import LossHasher, same_person
from daah.comparison.methods.kernel import classifier_of, discrete_codes
from daah.comparison.methods.pairwise import pair_cross_entropy


class DSDH(LossHasher):
    """Deep supervised discrete hashing.

    Source: Li, Sun, He and Tan (Qi Li et al.), "Deep supervised discrete hashing", NIPS 2017,
    equation 8: with the network's outputs U, discrete codes B and a classifier W, minimise
    sum over pairs of log(1 + exp(theta)) - s theta, theta = u_i . u_j / 2, plus
    mu |Y - B W|^2 + nu |W|^2 + eta |B - U|^2. In turn: the network by back-propagation, W by
    ridge regression, and B bit by bit (the same discrete coordinate descent as SDH, with
    Q = Y W^T + eta / mu U).

    As in the published training a batch is paired with the stored outputs of all training images.
    Deviations: B and W are renewed once an epoch; similar and dissimilar pairs are averaged
    apart, as for the other pairwise methods here; eta is on the scale of that average; U enters
    Q as `pull` times its tanh, and tuning chooses whether it or the labels lead.
    """

    ridge = 1.0

    eta = 0.05
    pull = 0.1

    def start(self, labels: Tensor) -> None:
        self.y = one_hot(labels.numpy())
        self.outputs = torch.randn(len(labels), self.bits)
        self.codes = torch.where(self.outputs > 0, 1.0, -1.0)

    def begin_epoch(self, epoch: int) -> None:
        codes = self.codes.double().numpy()
        classifier = classifier_of(codes, self.y, self.ridge)
        target = self.y @ classifier.T + self.pull * np.tanh(self.outputs.double().numpy())
        self.codes = torch.from_numpy(discrete_codes(codes, target, classifier)).float()

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        self.outputs[indices] = logits.detach()
        same = same_person(labels, self.train_labels)
        pairs = pair_cross_entropy(logits, same, self.outputs)
        return pairs + self.eta * F.mse_loss(logits, self.codes[indices], reduction="sum") / len(
            logits
        )
