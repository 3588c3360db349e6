"""KSH and SDH: supervised hash functions on a kernel with a few anchors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.linalg import eigh

from daah.comparison.methods.base import HashingMethod, StoredMethod, check_features, one_hot


class AnchorKernel:
    """Gaussian kernel to random training rows: exp(-|x - a_j|^2 / (2 s^2)).

    The bandwidth s is `width` times the mean distance of the training rows to the anchors.

    Args:
        x: training rows (N, D).
        anchors: maximum number of anchors A.
        width: factor of the bandwidth.
        seed: seed of the choice of anchors.

    Raises:
        ValueError: all rows are equal.
    """

    def __init__(self, x: np.ndarray, anchors: int, width: float, seed: int) -> None:
        # float32 features give float32 distances, too coarse for the linear algebra on them.
        x = np.asarray(x, np.float64)
        rng = np.random.default_rng(seed)
        self.anchors = x[rng.choice(len(x), min(anchors, len(x)), replace=False)]
        distance = _distances(x, self.anchors)
        self.scale = 2 * (width * distance.mean()) ** 2
        if self.scale <= 0:
            raise ValueError("all rows are the same: there is nothing to tell apart")
        self.mean = np.exp(-(distance**2) / self.scale).mean(0)

    @classmethod
    def restore(cls, anchors: np.ndarray, scale: float, mean: np.ndarray) -> AnchorKernel:
        """Reconstruct a fitted kernel.

        Args:
            anchors: (A, D).
            scale: 2 s^2, above 0.
            mean: mean of the training kernel (A,).

        Returns:
            The kernel.

        Raises:
            ValueError: the shapes do not fit, or `scale` is not above 0.
        """
        if len(anchors) != len(mean) or not scale > 0:
            raise ValueError(f"kernel: {len(anchors)} anchors, {len(mean)} means, scale {scale}")
        kernel = cls.__new__(cls)
        kernel.anchors, kernel.scale, kernel.mean = np.float64(anchors), float(scale), mean
        return kernel

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Kernel rows centred on the training mean, (M, A) float64."""
        distance = _distances(np.asarray(x, np.float64), self.anchors)
        return np.exp(-(distance**2) / self.scale) - self.mean


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, M)."""
    from sklearn.metrics import pairwise_distances  # imported late: seconds, at the app's start

    return pairwise_distances(x, y)


class KSH(HashingMethod):
    """Supervised hashing with kernels: bits fitted one by one to a pairwise label matrix.

    Source: Liu, Wang, Ji, Jiang and Chang, "Supervised hashing with kernels", CVPR 2012. With the
    centred kernel matrix G (N, A) and S = +1 for pairs of one person, -1 else, minimise
    |1/r H H^T - S|^2 over H = sign(G W), greedily: the residue for bit k is
    R_k = r S - sum of earlier h h^T (equation 10), and bit k maximises h^T R_k h. It starts from
    the spectral relaxation, the top eigenvector of G^T R_k G a = c G^T G a (equation 13), then
    climbs the smooth surrogate with 2 / (1 + exp(-x)) - 1 in the sign's place (equation 15) by
    Nesterov's method, and keeps the start if that is better.

    Deviations: all training rows are labelled samples (the paper labels 1,000 to 5,000 of more);
    S is never stored, S v = 2 Y Y^T v - 1 1^T v. Anchors are random rows (300 in the paper).
    """

    anchors = 300
    width = 1.0
    steps = 100

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        check_features(x, self.bits)
        self.kernel = AnchorKernel(x, self.anchors, self.width, self.seed)
        g = self.kernel(x)  # (N, A)
        y = one_hot(labels)
        gram = g.T @ g
        gram += 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
        person, total = g.T @ y, g.sum(0)
        pairs = self.bits * (2 * person @ person.T - np.outer(total, total))  # G^T (r S) G
        codes = np.empty((len(x), 0))
        weights = []

        def residue(h: np.ndarray) -> np.ndarray:
            """R_k h without R_k: r S h minus what earlier bits already explain."""
            return self.bits * (2 * y @ (y.T @ h) - h.sum()) - codes @ (codes.T @ h)

        for _ in range(self.bits):
            explained = g.T @ codes
            top = len(gram) - 1
            _, vector = eigh(pairs - explained @ explained.T, gram, subset_by_index=(top, top))
            start = vector[:, 0] * np.sqrt(len(x))  # so that |G a|^2 = N
            best = self._climb(start, g, residue)
            weights.append(best)
            codes = np.column_stack([codes, np.where(g @ best > 0, 1.0, -1.0)])
        self.weights = np.stack(weights, 1)  # (A, K)

    def _climb(self, start: np.ndarray, g: np.ndarray, residue) -> np.ndarray:
        def quality(a: np.ndarray) -> float:
            h = np.where(g @ a > 0, 1.0, -1.0)
            return float(h @ residue(h))

        # The gradient of -s^T R s with s = tanh(G a / 2), which is 2 / (1 + exp(-G a)) - 1.
        a = previous = start
        rate, momentum = None, 1.0
        for _ in range(self.steps):
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = a + (momentum - 1) / following * (a - previous)
            s = np.tanh(g @ ahead / 2)
            gradient = -(g.T @ (residue(s) * (1 - s**2)))
            if rate is None:  # the first step moves by a hundredth of the start's length
                rate = 0.01 * np.linalg.norm(start) / max(np.linalg.norm(gradient), 1e-12)
            previous, a, momentum = a, ahead - rate * gradient, following
        return a if quality(a) > quality(start) else start

    def encode(self, x: np.ndarray) -> np.ndarray:
        return (self.kernel(x) @ self.weights).astype(np.float32)


class SDH(StoredMethod):
    """Supervised discrete hashing: codes from which a linear classifier tells the person.

    Source: Shen, Shen, Liu and Shen, "Supervised discrete hashing", CVPR 2015, equation 3:
    min |Y - B W|^2 + lambda |W|^2 + nu |B - F(X)|^2 over B in {-1, 1}, W and F(x) = P^T phi(x),
    phi an anchor kernel. In turn: W by ridge regression, P by least squares, and B bit by bit
    with the others fixed (discrete cyclic coordinate descent, equation 11): with
    Q = Y W^T + nu F(X), z = sign(q - B' W' v) for bit z with its classifier row v. Five rounds,
    lambda = 1, nu = 1e-5, the L2 loss, all as in the paper.
    """

    anchors = 1000
    width = 1.0
    ridge = 1.0
    nu = 1e-5
    rounds = 5

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        check_features(x, self.bits)
        self.kernel = AnchorKernel(x, self.anchors, self.width, self.seed)
        phi = self.kernel(x)  # (N, A)
        y = one_hot(labels)
        gram = phi.T @ phi
        gram += 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
        rng = np.random.default_rng(self.seed)
        codes = np.where(rng.standard_normal((len(x), self.bits)) > 0, 1.0, -1.0)
        self.projection = np.linalg.solve(gram, phi.T @ codes)
        for _ in range(self.rounds):
            classifier = classifier_of(codes, y, self.ridge)
            codes = discrete_codes(
                codes, y @ classifier.T + self.nu * phi @ self.projection, classifier
            )
            self.projection = np.linalg.solve(gram, phi.T @ codes)
        self.learned = codes

    def encode(self, x: np.ndarray) -> np.ndarray:
        return (self.kernel(x) @ self.projection).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {
            "anchors": self.kernel.anchors,
            "mean": self.kernel.mean,
            # Rows have unit length, so the kernel's scale is of order one.
            "scale": np.array([self.kernel.scale]),
            "projection": self.projection / np.abs(self.projection).max(),
        }

    @classmethod
    def restore(cls, bits: int, state: Mapping[str, np.ndarray]) -> SDH:
        method = cls(bits)
        method.kernel = AnchorKernel.restore(
            state["anchors"], float(state["scale"][0]), state["mean"]
        )
        method.projection = state["projection"].astype(np.float64)
        if method.projection.shape != (len(state["anchors"]), bits):
            raise ValueError(f"SDH: projection {method.projection.shape}")
        return method


def classifier_of(codes: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """Ridge regression of labels on codes: W = (B^T B + ridge I)^-1 B^T Y.

    Args:
        codes: B (N, K).
        y: one-hot labels Y (N, C).
        ridge: weight of |W|^2.

    Returns:
        W (K, C).
    """
    return np.linalg.solve(codes.T @ codes + ridge * np.eye(codes.shape[1]), codes.T @ y)


def discrete_codes(
    codes: np.ndarray, target: np.ndarray, classifier: np.ndarray, sweeps: int = 10
) -> np.ndarray:
    """Discrete cyclic coordinate descent: min |B W|^2 - 2 tr(B^T Q) over B in {-1, 1}.

    It sweeps over the bits until nothing changes; a tie keeps the bit. No step raises the
    objective.

    Args:
        codes: B (N, K) to start from.
        target: Q (N, K).
        classifier: W (K, C).
        sweeps: maximum number of sweeps.

    Returns:
        B (N, K) in {-1, 1}.
    """
    codes = codes.copy()
    products = classifier @ classifier.T  # (K, K)
    for _ in range(sweeps):
        before = codes.copy()
        for k in range(codes.shape[1]):
            others = codes @ products[:, k] - codes[:, k] * products[k, k]
            wish = target[:, k] - others
            codes[:, k] = np.where(wish == 0, codes[:, k], np.sign(wish))
        if np.array_equal(codes, before):
            break
    return codes
