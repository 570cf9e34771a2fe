"""The first epochs of quantisation-aware training may be in float32."""

from mascot_jax import ClickModel
from mascot_jax.dlrm.fit import TIMES
from tests.support.planted_clicks import planted

TRAIN, HELD_OUT = planted(1500)
SMALL = {"bottom": (8,), "top": (8,), "batch_size": 50, "epochs": 2, "learning_rate": 0.5}


def history(**settings):
    model = ClickModel(**SMALL, **settings).fit(TRAIN, HELD_OUT)
    return [{k: v for k, v in r.items() if k not in TIMES} for r in model.history_]


def test_an_epoch_before_rounding_is_that_of_fp32():
    fp32, pretrained = history(preset="fp32"), history(preset="dqrm", float_epochs=1)
    assert pretrained[0] == fp32[0]
    assert pretrained[1] != fp32[1]
    assert history(preset="dqrm")[0] != fp32[0]
