"""Small ratings and settings for trainings whose quality is of no interest."""

import numpy as np
import pandas as pd

USERS, ITEMS = 12, 10
QUICK = {
    "factors": 2,
    "epochs": 1,
    "threads": 1,
    "biases": False,
    "user_groups": 1,
    "item_groups": 1,
}
"""One group a side: parts of the same ratings have the same shapes, and compile once."""


def small_frame(seed=0):
    """Every user has rated half the items: an ascending time, and another column."""
    rng = np.random.default_rng(seed)
    pairs = [(user, item) for user in range(USERS) for item in rng.permutation(ITEMS)[: ITEMS // 2]]
    users, items = np.array(pairs)[rng.permutation(len(pairs))].T
    return pd.DataFrame(
        {
            "user": [f"u{user}" for user in users],
            "item": items + 100,
            "rating": rng.integers(1, 6, len(users)).astype(np.float32),
            "timestamp": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(60), "h"),
            "note": "kept",
        }
    )
