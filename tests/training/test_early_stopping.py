import jax.numpy as jnp
import pytest

from mascot_jax.training.early_stopping import EarlyStopping


def add(stopping, *rmses):
    """Whether each epoch says stop; an epoch's state is its number, from 0."""
    return [stopping.add(rmse, {"epoch": jnp.int32(n)}) for n, rmse in enumerate(rmses)]


@pytest.mark.parametrize(
    ("patience", "rmses", "stops"),
    [
        (1, [3.0, 2.0, 2.5], [False, False, True]),
        (2, [3.0, 2.0, 2.5, 1.5, 1.6, 1.7], [False] * 5 + [True]),
        (2, [2.0, 2.0, 2.0], [False, False, True]),  # as good is not better
        (1, [float("inf"), float("inf")], [False, True]),
    ],
)
def test_it_stops_after_as_many_epochs_without_a_better_one(patience, rmses, stops):
    assert add(EarlyStopping(patience), *rmses) == stops


def test_the_best_state_is_a_copy():
    stopping = EarlyStopping(5)
    assert stopping.best is None
    state = {"factors": jnp.arange(3)}
    stopping.add(1.0, state)
    state["factors"].delete()  # as donation to the next epoch does
    stopping.add(2.0, {"factors": jnp.zeros(3)})
    assert stopping.best["factors"].tolist() == [0, 1, 2]


def test_the_first_of_equally_good_states_is_kept():
    stopping = EarlyStopping(5)
    add(stopping, 2.0, 1.0, 1.0, 3.0)
    assert int(stopping.best["epoch"]) == 1


@pytest.mark.parametrize("at", range(5))
def test_it_goes_on_as_if_it_had_never_stopped(at):
    rmses = [3.0, 2.0, 2.5, 2.0, 2.1, 2.2]
    whole, first = EarlyStopping(3), EarlyStopping(3)
    stops = add(whole, *rmses)
    add(first, *rmses[:at])
    second = EarlyStopping(3, rmses[:at], first.best)
    assert second.over == (at > 0 and stops[at - 1])
    assert add(second, *rmses[at:]) == stops[at:]
    assert (second.best is first.best) == (at >= 2)
