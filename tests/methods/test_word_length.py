"""MuPPET's and AFP's word lengths, on sequences of gradients made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.methods.word_length import (
    Afp,
    Gradients,
    Muppet,
    gradient_diversity,
    mean_change,
    quantise,
)
from mascot_jax.settings import AfpSettings, MuppetSettings
from tests.support import reference

ALIKE, ACROSS = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)


def lengths(policy, gradients, factors=2):
    """The word length of each epoch, and of the one after; gradients: of users and items alike."""
    memory, found = policy.begin(factors), []
    advance = jax.jit(policy.advance)
    for epoch, gradient in enumerate(gradients):
        found.append(int(policy.chosen(memory)))
        memory = advance(memory, Gradients(jnp.asarray(gradient), gradient), jnp.uint32(epoch))
    return [*found, int(policy.chosen(memory))]


def test_diversity_is_a_third_of_three_like_gradients_and_one_of_orthogonal_ones():
    alike = np.tile(np.array([3.0, 4.0, 0.0], np.float32), (3, 2, 1))
    orthogonal = np.stack([np.eye(3, dtype=np.float32)] * 2, axis=1)
    assert gradient_diversity(alike) == pytest.approx(1 / 3)
    assert gradient_diversity(orthogonal) == pytest.approx(1)
    both = np.stack([alike[:, 0], orthogonal[:, 0]], axis=1)  # one side each
    assert gradient_diversity(both) == pytest.approx(2 / 3)


def test_muppet_lengthens_words_when_diversity_falls_from_its_maximum():
    policy = Muppet(MuppetSettings(word_lengths=(8, 16), beta=0.0, alpha=1.5))
    # windows:                       -, -, 1, 5/9 (two alike: 3 / 5), 1/3, 1/3, 1/3
    orthogonal = [np.eye(3, dtype=np.float32)[[i]] for i in range(3)]
    alike = [orthogonal[2]] * 4
    # 1 / (5/9 ...) first passes 1.5 in the window of epochs 1, 2, 3: 3 / 5 = 0.6, 1 / 0.6 = 1.67
    assert lengths(policy, [*orthogonal, *alike], 3) == [8, 8, 8, 8, 16, 16, 16, 16]


def test_muppet_begins_its_maximum_anew_after_a_switch_and_ends_in_float32():
    policy = Muppet(MuppetSettings(word_lengths=(8,), beta=0.0, alpha=1.5, window=2))
    across, alike = [ALIKE, ACROSS], [ACROSS, ACROSS]
    # diversities of windows of two: 1 (across), 1/2 (alike); from epoch 1 on
    gradients = [*across, *alike, ALIKE, ACROSS, ACROSS, ALIKE, ACROSS, ACROSS]
    found = lengths(policy, gradients)
    assert found[:3] == [8, 8, 8]
    assert found[3:] == [32] * (len(gradients) - 2)  # and never past the last
    longer = Muppet(MuppetSettings(word_lengths=(8, 12), beta=0.0, alpha=1.5, window=2))
    # After the switch of epoch 2 the maximum is 1/2 of epoch 3, not 1 of epoch 1.
    assert lengths(longer, [*across, *alike, ACROSS]) == [8, 8, 8, 12, 12, 12]


def test_muppets_threshold_falls_with_the_epochs():
    gradients = [ALIKE, ACROSS, ACROSS, ACROSS, ALIKE, ALIKE]
    # ratio 2 in epochs 2 and 5: limits 1 + 1.5 exp(-0.3 t) are 1.82 and 1.33
    policy = Muppet(MuppetSettings(word_lengths=(8, 12), window=2))
    assert lengths(policy, gradients) == [8, 8, 8, 12, 12, 12, 32]
    later = Muppet(MuppetSettings(word_lengths=(8, 12), window=2, decay=0.1))  # 2.23 and 1.91
    assert lengths(later, gradients) == [8, 8, 8, 8, 8, 8, 12]


def test_muppet_waits_until_its_window_is_full():
    policy = Muppet(MuppetSettings(beta=0.0, alpha=0.1, window=4))  # any ratio is above
    assert lengths(policy, [ALIKE] * 6) == [8, 8, 8, 8, 12, 14, 16]


def test_muppet_may_begin_with_other_words():
    assert Muppet(MuppetSettings(word_lengths=(12, 14, 16))).bits == (12, 14, 16, 32)


COARSE = np.array([[127.0, 0.6], [127.0, 0.6], [127.0, 0.6]], np.float32)
"""At 8 bits, steps of 1: the mean magnitude rises by 0.4 / 127.6."""
FINE = np.array([[127.0, 1.0]] * 3, np.float32)


def test_the_change_is_that_of_the_mean_magnitude():
    expected = np.log2(1 + 0.4 / 127.6)
    assert mean_change(COARSE, jnp.int32(8)) == pytest.approx(expected, rel=1e-4)
    assert mean_change(COARSE * np.array([1, -1], np.float32), jnp.int32(8)) == pytest.approx(
        expected, rel=1e-4
    )
    assert mean_change(FINE, jnp.int32(8)) == 0
    assert mean_change(COARSE, jnp.int32(16)) < 2e-5


def test_afp_lengthens_words_where_quantisation_moves_gradients():
    policy = Afp(AfpSettings())
    assert lengths(policy, [FINE, FINE]) == [8, 8, 8]
    assert lengths(policy, [COARSE, COARSE]) == [8, 16, 16]


def test_afps_threshold_is_what_decides():
    just = float(mean_change(COARSE, jnp.int32(8)))
    assert lengths(Afp(AfpSettings(threshold=just * 1.001)), [COARSE]) == [8, 8]
    assert lengths(Afp(AfpSettings(threshold=just * 0.999)), [COARSE]) == [8, 16]


def test_afp_looks_again_after_an_interval():
    # No change, and a range that stays: the longest interval.
    assert lengths(Afp(AfpSettings()), [FINE, *[COARSE] * 5]) == [8] * 7
    # beta / |alpha (127 - 63.5)| - gamma: 20.4 / 2.54 - 2 = 6.03 epochs
    policy = Afp(AfpSettings(beta=20.4))
    memory = policy.begin(2)
    memory = policy.advance(memory, Gradients(FINE / 2, FINE / 2), jnp.uint32(0))
    memory["due"] = jnp.int32(1)
    memory = policy.advance(memory, Gradients(FINE, FINE), jnp.uint32(1))
    assert memory["range"] == pytest.approx(63.5 + 0.04 * 63.5)
    assert int(memory["due"]) == 7
    before = dict(memory)
    for epoch in range(2, 7):
        memory = policy.advance(memory, Gradients(COARSE, COARSE), jnp.uint32(epoch))
    assert memory == before
    memory = policy.advance(memory, Gradients(COARSE, COARSE), jnp.uint32(7))
    assert int(policy.chosen(memory)) == 16


@pytest.mark.parametrize("bits", [2, 8, 12, 16])
def test_quantised_values_are_those_of_the_kernel(bits):
    values = np.random.default_rng(0).normal(0, 0.1, (50, 9)).astype(np.float32)
    values[0], values[1] = 0, 1e-35
    expected = [reference.fixed(row, np.abs(row).max(), bits) for row in values]
    np.testing.assert_array_equal(jax.jit(quantise)(values, jnp.int32(bits)), expected)
