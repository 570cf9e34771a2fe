"""What the MASCOT paper says: its tables, and the figures that its text names.

Of pruned training, what the paper of that method says.

Times are of 50 epochs on an NVIDIA RTX 2070 with an Intel i9-9900K.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

DATA: Final = {
    "ml-10m": "ML10M", "ml-25m": "ML25M", "netflix": "Netflix", "yahoo-music": "Yahoo!Music",
}  # fmt: skip
"""The paper's data sets: our name, its name."""
NEAREST: Final = "ml-10m"
"""Its smallest set: what sets that it does not have are held against."""

TABLE1: Final = {
    "ml-10m": (69_878, 10_677, 10_000_035, 0.9866),
    "ml-25m": (162_541, 59_047, 24_997_208, 0.9974),
    "netflix": (480_189, 17_770, 100_480_507, 0.9882),
    "yahoo-music": (1_000_990, 624_961, 256_804_235, 0.9996),
}
"""Users, items, ratings, sparsity."""

PERIODS: Final = (1, 2, 4, 8)
SAMPLE_RATIOS: Final = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
# One line a period, (RMSE, seconds) for each sample ratio; as printed, the 1.19 s among them.
_TABLE2: Final = {
    "ml-10m": """
        0.7861 0.71  0.7847 0.69  0.7846 0.70  0.7845 0.71  0.7846 0.78  0.7844 0.93
        0.7858 0.68  0.7853 0.68  0.7850 0.67  0.7846 0.68  0.7846 0.72  0.7845 0.79
        0.7865 0.66  0.7852 0.67  0.7847 0.67  0.7846 0.67  0.7848 0.68  0.7846 0.73
        0.7873 0.66  0.7852 0.67  0.7851 0.66  0.7851 0.66  0.7848 0.67  0.7850 0.69""",
    "ml-25m": """
        0.7667 1.91  0.7663 1.19  0.7662 1.98  0.7662 2.15  0.7661 2.62  0.7660 3.47
        0.7663 1.89  0.7661 1.91  0.7662 1.94  0.7661 2.01  0.7663 2.27  0.7663 2.70
        0.7669 1.86  0.7667 1.87  0.7666 1.90  0.7662 1.94  0.7665 2.08  0.7663 2.34
        0.7672 1.84  0.7665 1.86  0.7666 1.87  0.7667 1.89  0.7664 1.96  0.7663 2.13""",
    "netflix": """
        0.9169 10.04  0.9153 10.23  0.9153 10.43  0.9151 11.11  0.9150 12.87  0.9150 15.97
        0.9175 9.94  0.9156 10.06  0.9152 10.23  0.9152 10.54  0.9151 11.56  0.9151 13.18
        0.9177 9.83  0.9156 10.00  0.9153 10.06  0.9152 10.32  0.9151 10.84  0.9151 11.69
        0.9188 9.86  0.9161 10.04  0.9155 10.03  0.9154 10.13  0.9153 10.42  0.9153 10.95""",
    "yahoo-music": """
        0.9013 34.08  0.9011 35.18  0.9009 37.04  0.9010 40.05  0.9009 48.89  0.9009 65.92
        0.9015 33.63  0.9011 35.27  0.9009 36.00  0.9008 37.67  0.9008 42.31  0.9010 51.01
        0.9018 33.24  0.9010 35.04  0.9007 35.15  0.9007 36.22  0.9007 38.80  0.9005 43.89
        0.9018 33.25  0.9010 34.13  0.9011 34.45  0.9011 35.04  0.9007 36.62  0.9008 39.68""",
}

_TEXT: Final[Mapping[str, float | str]] = {
    # FP32's seconds at k = 128, off Fig. 9: the last digit is a guess
    "fig7/fp32/128/ml-10m/seconds": "1.25 (read off)",
    "fig7/fp32/128/ml-25m/seconds": "3.5 (read off)",
    "fig7/fp32/128/netflix/seconds": "18 (read off)",
    "fig7/fp32/128/yahoo-music/seconds": "62 (read off)",
    "fig7/fp32/relative_time": 1.0,
    "fig7/half/relative_time": 0.5,  # the ideal
    # Sections IV-B and IV-C; figures without a data set are means of four
    "fig7/mascot/128/relative_time": 0.55,
    "fig7/muppet/64/relative_time": 1.5964,
    "fig7/mpt/relative_time": "no gain",
    "fig7/muppet/relative_time": "slower",
    "fig7/afp/relative_time": "slower",
    "fig8/mascot/rmse": "comparable",
    "fig9/mascot-n1/rmse": "errors grow",
    "fig9/mascot-n2/rmse": "comparable",
    "fig9/mascot/rmse": "comparable",
    "fig9/mascot/relative_time": 0.55,
    "fig9/mascot-n2/over_n1": 1.34,
    "fig10/opt/100/relative_time": 0.90,
    "fig10/opt/100/ml-10m/relative_time": 0.86,
    # Another paper's, of dynamic pruning (arXiv:2404.04265): 1.2 to 1.65 times the speed
    "pruning/early-exit/relative_time": "0.61 to 0.83",
    "pruning/early-exit/relative_error": "up to 1.2",
    # Section IV-D
    "table2/seconds/p_value": "below 0.05",
}


def _values() -> dict[str, float | str]:
    values = dict(_TEXT)
    for data, text in _TABLE2.items():
        numbers = [float(number) for number in text.split()]
        cells = itertools.product(PERIODS, SAMPLE_RATIOS)
        for (period, ratio), rmse, seconds in zip(cells, numbers[::2], numbers[1::2], strict=True):
            cell = f"table2/{period}/{ratio}/{data}"
            values[f"{cell}/rmse"] = rmse
            values[f"{cell}/seconds"] = seconds
            # to measuring all ratings in every epoch, the last of the first line
            values[f"{cell}/relative_time"] = round(seconds / numbers[11], 3)
        # with the period and the ratio that it recommends
        values[f"fig7/mascot/128/{data}/seconds"] = values[f"table2/2/0.05/{data}/seconds"]
        for figure in ("fig8", "fig9"):
            values[f"{figure}/mascot/{data}/rmse"] = values[f"table2/2/0.05/{data}/rmse"]
    return values


VALUES: Final[Mapping[str, float | str]] = MappingProxyType(_values())
"""By figure, what names a row there, data set if it is of one, and field; findings are texts."""


def find(row: str, data: str, field: str) -> float | str | None:
    """Return what the paper says of a row such as ``fig7/mascot/128``; None where it says nothing.

    The first of: of this data set, of all, of all numbers of factors or groups, of its smallest.
    Ratings generated in the shape of a data set stand for it.
    """
    own = data.removeprefix("synthetic ")
    paths = (f"{row}/{own}", row, row.rpartition("/")[0], f"{row}/{NEAREST}")
    return next((VALUES[f"{path}/{field}"] for path in paths if f"{path}/{field}" in VALUES), None)
