"""Data set ``yahoo-music``: the Yahoo! Music ratings of the KDD Cup 2011."""

from __future__ import annotations

from mascot_jax.data.formats.yahoo_music import read_yahoo_music
from mascot_jax.data.sets.data_set import DataSet, without_times

YAHOO_MUSIC = DataSet(
    "yahoo-music",
    None,
    None,
    without_times(read_yahoo_music),
    (1.0, 5.0),
    "For academic use under the terms of Yahoo! Webscope. G. Dror, N. Koenigstein, Y. Koren and "
    "M. Weimer, The Yahoo! Music Dataset and KDD-Cup '11, JMLR W&CP 18, 2012.",
    "Ask Yahoo! Webscope for the data of the KDD Cup 2011, track 1, and set data.source to the "
    "folder or archive with trainIdx1.txt and validationIdx1.txt",
)
