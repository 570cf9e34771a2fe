"""What the MASCOT paper says: its tables, and the figures that its text names.

``VALUES`` has one entry for each, under a path such as ``table2/ml-10m/2/0.05/rmse``. What is read
off a plot says so. Times are of an RTX 2070, 50 epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

TITLE: Final = (
    "MASCOT: A Quantization Framework for Efficient Matrix Factorization in Recommender Systems"
)
HARDWARE: Final = "NVIDIA RTX 2070, Intel i9-9900K"

DATA: Final = MappingProxyType(
    {
        "ml-10m": "ML10M",
        "ml-25m": "ML25M",
        "netflix": "Netflix",
        "yahoo-music": "Yahoo!Music",
    }
)
"""The paper's data sets: our name, its name."""
NEAREST: Final = "ml-10m"
"""Its smallest set: what sets that it does not have are held against."""

PERIODS: Final = (1, 2, 4, 8)
SAMPLE_RATIOS: Final = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
CHOSEN: Final = (2, 0.05)
"""The period and the sample ratio that it recommends."""
NAIVE: Final = (1, 1.0)
"""The ones that it tests them against."""


class Published(NamedTuple):
    """One figure or finding of the paper."""

    value: float | str
    """A finding without a figure is a text."""
    where: str
    read_off: bool = False
    """Off a plot, so that its last digit is a guess."""


# Users, items, ratings, sparsity.
_TABLE1: Final = {
    "ml-10m": (69_878, 10_677, 10_000_035, 0.9866),
    "ml-25m": (162_541, 59_047, 24_997_208, 0.9974),
    "netflix": (480_189, 17_770, 100_480_507, 0.9882),
    "yahoo-music": (1_000_990, 624_961, 256_804_235, 0.9996),
}

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

# FP32's seconds at k = 128, off Fig. 9.
_FP32_SECONDS: Final = {"ml-10m": 1.25, "ml-25m": 3.5, "netflix": 18.0, "yahoo-music": 62.0}

_TEXT: Final = {
    "fig7/fp32/relative_time": Published(1.0, "Fig. 7"),
    "fig7/half/relative_time": Published(0.5, "Fig. 7, as the ideal"),
    "fig7/mascot/128/relative_time": Published(0.55, "section IV-B, mean of four sets"),
    "fig7/muppet/64/relative_time": Published(1.5964, "section IV-B, mean of four sets"),
    "fig7/mpt/relative_time": Published("no gain", "section IV-B"),
    "fig7/muppet/relative_time": Published("slower", "section IV-B"),
    "fig7/afp/relative_time": Published("slower", "section IV-B"),
    "fig8/mascot/rmse": Published("comparable", "section IV-B"),
    "fig9/mascot-n1/rmse": Published("errors grow", "section IV-C"),
    "fig9/mascot-n2/rmse": Published("comparable", "section IV-C"),
    "fig9/mascot/rmse": Published("comparable", "section IV-C"),
    "fig9/mascot/relative_time": Published(0.55, "section IV-C, mean of four sets"),
    "fig9/mascot-n2/over-n1": Published(1.34, "section IV-C, mean of four sets"),
    "fig10/opt/100/relative_time": Published(0.90, "section IV-C, mean of four sets"),
    "fig10/opt/100/ml-10m/relative_time": Published(0.86, "section IV-C"),
    "fig11/turning": Published(300, "section IV-D"),
    "table2/p": Published(0.05, "section IV-D, all four sets below"),
}


def _values() -> dict[str, Published]:
    values = dict(_TEXT)
    for data, numbers in _TABLE1.items():
        for quantity, number in zip(
            ("users", "items", "ratings", "sparsity"), numbers, strict=True
        ):
            values[f"table1/{data}/{quantity}"] = Published(number, "Table I")
    for data, text in _TABLE2.items():
        cells = iter(map(float, text.split()))
        for period in PERIODS:
            for ratio in SAMPLE_RATIOS:
                cell = f"table2/{data}/{period}/{ratio}"
                values[f"{cell}/rmse"] = Published(next(cells), "Table II")
                values[f"{cell}/seconds"] = Published(next(cells), "Table II")
    for data, seconds in _FP32_SECONDS.items():
        values[f"fp32/{data}/seconds"] = Published(seconds, "Fig. 9", read_off=True)
    return values


VALUES: Final[Mapping[str, Published]] = MappingProxyType(_values())


def number(path: str) -> float:
    """Return a published figure.

    Raises
    ------
    KeyError
        The paper does not give it.
    TypeError
        It is a finding without a figure.
    """
    value = VALUES[path].value
    if isinstance(value, str):
        raise TypeError(f"{path} is no number but {value!r}")
    return value


def counterpart(data: str) -> str:
    """Return the paper's data set that one of ours is held against."""
    return data if data in DATA else NEAREST


def cell(data: str, period: int, ratio: float) -> str:
    """Return the path of a cell of Table II, but for the quantity; the cell may not exist."""
    return f"table2/{data}/{period}/{float(ratio)}"
