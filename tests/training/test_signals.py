"""Signals are sent by the process to itself: nothing here depends on time."""

import os
import signal
import threading

import jax
import numpy as np
import pytest

from mascot_jax.training.checkpoint import load_checkpoint
from mascot_jax.training.signals import SIGNALS, deferred_signals, wait_for
from tests.training.test_checkpoint import Training, file_bytes


@pytest.fixture(autouse=True)
def _no_signal_of_a_test_reaches_pytest():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_only_noted(number):
    before, announced = handlers(), []
    with deferred_signals(lambda: announced.append(number)) as interruption:
        assert not interruption.requested
        signal.raise_signal(number)
        assert interruption.requested
        assert interruption.signal is number
        assert announced == [number]
        assert handlers() == before  # the next one acts
    assert handlers() == before


def test_a_second_one_acts_at_once():
    with deferred_signals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_handlers_are_put_back(error):
    def ours(*_):
        pass

    signal.signal(signal.SIGTERM, ours)
    before = handlers()
    try:
        with deferred_signals():
            assert not set(handlers()) & set(before)
            if error:
                raise error
    except ZeroDivisionError:
        pass
    assert handlers() == before


def test_what_was_ignored_stays_so():
    """As of a program that a shell has started in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred_signals() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert not interruption.requested


def test_in_another_thread_nothing_changes():
    before, found = handlers(), []

    def work():
        with deferred_signals() as interruption:
            found.append((handlers(), interruption.requested))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(before, False)]


@pytest.mark.parametrize("number", SIGNALS)
def test_training_stops_after_the_epoch_and_goes_on_from_there(tmp_path, number):
    wanted = file_bytes(Training(tmp_path).run(), tmp_path)
    training, seen = Training(tmp_path, every=100), []
    with deferred_signals() as interruption:

        def on_epoch(record, _):
            seen.append(record.epoch)
            if record.epoch == 4:
                os.kill(os.getpid(), number)
            return interruption.requested

        training.from_the_start(on_epoch)
    assert seen == [0, 1, 2, 3, 4]
    assert load_checkpoint(training.path)[0].state.epoch == 5
    assert file_bytes(training.run(None, training.checkpoints()), tmp_path) == wanted


class Endless:
    """Is computed when a signal's handler has run: never, if it keeps the main thread from that."""

    def __init__(self):
        self.noted = threading.Event()
        self.waited_in = []

    def is_ready(self):
        return False

    def block_until_ready(self):
        if not self.waited_in:
            os.kill(os.getpid(), signal.SIGINT)
            assert self.noted.wait(60)
        self.waited_in.append(threading.current_thread())
        return self


def test_a_signal_is_noted_while_jax_computes():
    value = Endless()
    with deferred_signals(value.noted.set) as interruption:
        wait_for([value])
    assert interruption.requested
    main = threading.main_thread()
    assert [thread is main for thread in value.waited_in] == [False, True]


def test_another_thread_just_waits():
    value = Endless()
    value.waited_in.append(None)
    thread = threading.Thread(target=wait_for, args=([value],))
    thread.start()
    thread.join()
    assert value.waited_in == [None, thread]


def test_waiting_raises_what_computing_did():
    def fail(_):
        raise ZeroDivisionError

    @jax.jit
    def compute(x):
        return jax.pure_callback(fail, jax.ShapeDtypeStruct((), np.float32), x)

    with pytest.raises(Exception, match="ZeroDivisionError"):
        wait_for(compute(np.float32(3)))
