"""Scores of queries against a database, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from daah.metrics.query_database import score_codes

# -------------------------------------------------------------------------------- protocol 2


def test_scores_by_hand() -> None:
    """Query 1: right, wrong, right at distances 0, 2, 3. Query 2: nothing within two bits."""
    database = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, -1, -1]], np.float32)
    query = np.array([[1, 1, 1, 1], [-1, 1, 1, 1]], np.float32)
    query[1] = -database[0]
    scores = score_codes(query, database, np.array([0, 0]), np.array([0, 1, 0]))
    # The second query is at 4, 2 and 1 bits of the three.
    first, second = (1 + 2 / 3) / 2, (1 + 2 / 3) / 2
    assert scores.map == pytest.approx((first + second) / 2)
    assert scores.precision_radius2 == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert scores.precision_at[1] == 1.0
    assert scores.precision_at[5] == pytest.approx(2 / 5)
