"""Fixtures that several files of this folder share."""

from __future__ import annotations

import numpy as np
import pytest

from daah.comparison import data as comparison_data
from daah.comparison.data import ClosedData


@pytest.fixture(scope="module")
def small() -> ClosedData:
    """Twelve people of ORL: quick to learn, hard enough to tell methods apart."""
    whole = comparison_data.orl_data()
    keep = [i for i, n in enumerate(whole.train.names) if int(n.split("/")[1][1:]) <= 12]
    asked = [i for i, n in enumerate(whole.query.names) if int(n.split("/")[1][1:]) <= 12]
    return ClosedData(
        "twelve of ORL", whole.train.subset(np.array(keep)), whole.query.subset(np.array(asked))
    )
