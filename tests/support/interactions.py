"""Small planted interactions, whose lists can be told good from bad."""

from unittest.mock import patch

import numpy as np

from mascot_jax.engine import padding
from mascot_jax.engine.interactions import lay_out_interactions
from mascot_jax.engine.ratings import make_ratings

USERS, ITEMS, KINDS = 120, 80, 4


def planted(seed=0, users=USERS, items=ITEMS):
    """Each user meets about a third of the items of its kind, and hardly others; ids as rows."""
    rng = np.random.default_rng(seed)
    likely = np.where(np.arange(users)[:, None] % KINDS == np.arange(items) % KINDS, 0.45, 0.02)
    pairs = np.argwhere(rng.random((users, items)) < likely)
    return pairs[rng.permutation(len(pairs))]


def split(pairs, share=0.2):
    """Training pairs, and held-out ones whose user and item have others."""
    held = int(len(pairs) * share)
    train, test = pairs[held:], pairs[:held]
    known = np.isin(test[:, 0], train[:, 0]) & np.isin(test[:, 1], train[:, 1])
    return train, test[known]


def same_kind(users, items):
    """Share of pairs whose user and item are of one kind."""
    return float(np.mean(np.asarray(users) % KINDS == np.asarray(items) % KINDS))


def laid_out_for_a_gpu(users, items, plan, user_starts, item_starts):
    """Interactions with a weight of 1, laid out as a GPU has them: in arrays of their sizes."""
    counts = int(user_starts[-1]), int(item_starts[-1])
    ratings = make_ratings(users, items, np.ones(len(users)), *counts)
    with patch.object(padding, "padded_size", lambda count, _: count):
        return lay_out_interactions(ratings, plan, user_starts, item_starts, counts[1], 1)
