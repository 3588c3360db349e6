"""ADSH: codes of the database are learned directly; the network only encodes queries."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from daah.comparison.methods.deep import LossHasher, same_person


class ADSH(LossHasher):
    """Asymmetric deep supervised hashing.

    Source: Jiang and Li, "Asymmetric deep supervised hashing", AAAI 2018, equation 4: with
    database codes V in {-1, 1} and sampled rows Omega, minimise over V and the network
    sum over i in Omega, j of (u_i . v_j - K S_ij)^2 + gamma sum over i of |v_i - u_i|^2, where
    u = tanh(h). In turn: some epochs on Omega by back-propagation, then V bit by bit (equation
    13): with Q = K S^T U + gamma U_bar, v_k = sign(q_k - V' U'^T u_k). gamma = 200.

    As in published code, S of different people is not -1 but -r, r being the share of same over
    different pairs: otherwise, with many people, "all different" is almost right.
    Deviations: Omega is what the batches of an epoch drew, nearly all images, so that the method
    gets the same budget as the others; the loss is divided by K^2 and averaged.
    """

    gamma = 200.0

    def start(self, labels: Tensor) -> None:
        same = same_person(labels, labels)
        self.ratio = float(same.sum() / (1 - same).sum().clamp(min=1))
        self.codes = torch.where(torch.randn(len(labels), self.bits) > 0, 1.0, -1.0)

    def similarity(self, labels: Tensor) -> Tensor:
        """Similarity S of images to the whole database.

        Args:
            labels: (B,) identity of each image.

        Returns:
            (B, N) float32: 1 for the same identity, -ratio for others.
        """
        same = same_person(labels, self.train_labels)
        return same * (1 + self.ratio) - self.ratio

    def begin_epoch(self, epoch: int) -> None:
        self.outputs: dict[int, Tensor] = {}

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        u = logits.tanh()
        self.outputs.update(zip(indices.tolist(), u.detach(), strict=True))
        error = u @ self.codes.T / self.bits - self.similarity(labels)
        own = (self.codes[indices] - u).square().sum(1) / self.bits**2
        return error.square().mean() + self.gamma / len(self.codes) * own.mean()

    def end_epoch(self, epoch: int) -> None:
        rows = torch.tensor(sorted(self.outputs))
        outputs = torch.stack([self.outputs[i] for i in rows.tolist()])
        self.codes = database_codes(
            self.codes,
            outputs,
            rows,
            self.similarity(self.train_labels[rows]),
            self.gamma,
        )

    def database(self, x: np.ndarray) -> np.ndarray:
        """See `HashingMethod.database`. The codes are learned; only the length of x is checked.

        Raises:
            ValueError: x has another number of rows than the training images.
        """
        if len(x) != len(self.codes):
            raise ValueError(f"expected the {len(self.codes)} training images, got {len(x)}")
        return self.codes.numpy()


def database_codes(
    codes: Tensor, outputs: Tensor, rows: Tensor, similarity: Tensor, gamma: float
) -> Tensor:
    """One sweep of equation 13 over the bits.

    Args:
        codes: V (N, K) in {-1, 1} to start from.
        outputs: U (M, K), outputs of the network for some rows of the database.
        rows: (M,) int64, these rows.
        similarity: S (M, N).
        gamma: weight of the term |v_i - u_i|^2.

    Returns:
        V (N, K) in {-1, 1} with a lower or equal objective.
    """
    codes = codes.clone()
    bits = codes.shape[1]
    q = bits * similarity.T @ outputs  # (N, K)
    q[rows] += gamma * outputs
    products = outputs.T @ outputs  # (K, K)
    for k in range(bits):
        others = codes @ products[:, k] - codes[:, k] * products[k, k]
        wish = q[:, k] - others
        codes[:, k] = torch.where(wish == 0, codes[:, k], wish.sign())
    return codes
