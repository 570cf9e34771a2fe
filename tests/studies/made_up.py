"""Result files of the study's shape, with made-up numbers."""

import json
import math
import random

import numpy as np
from scipy.special import stdtrit

HARDWARE = {"backend": "cpu", "processor": "Made Up", "cores": 2, "instruction_set": "avx2"}
METHODS = ("fp32", "half", "fp16", "mpt", "muppet", "afp", "mascot-n2", "mascot", "int8")
TIMES = {
    "fp32": 1.0, "half": 1.9, "fp16": 1.2, "mpt": 1.4, "muppet": 2.1, "afp": 1.7, "mascot-n2": 1.1,
    "mascot": 1.15, "int8": 2.4,
}  # fmt: skip
LOSSES = {
    "fp32": 0.0, "half": 0.0115, "fp16": 0.0112, "mpt": 0.0001, "muppet": 0.0008, "afp": 0.0003,
    "mascot-n2": 0.0022, "mascot": 0.0036, "int8": 0.0031,
}  # fmt: skip
BYTES = {"half": 0.5, "fp16": 0.5, "mascot-n2": 0.54, "mascot": 0.6, "int8": 0.28}
BEYOND = (
    ("fp32", {"method": "fp32"}, 0.0, 1.0, 1.0),
    ("fp32 runs", {"method": "fp32", "order": "runs"}, 0.0001, 1.0, 0.8),
    ("fp16 (N1)", {"method": "fp16"}, 0.0112, 0.5, 1.2),
    ("fp16 stochastic", {"method": "fp16", "rounding": "stochastic"}, 0.00003, 0.5, 1.6),
    ("fp16 stochastic in runs", {"method": "fp16", "rounding": "stochastic", "order": "runs"},
     0.0002, 0.5, 1.3),
    ("int8", {"method": "int8"}, 0.0031, 0.28, 2.4),
    ("mascot", {"method": "mascot"}, 0.0036, 0.6, 1.15),
    ("mascot with lost-update", {"method": "mascot", "criterion": "lost-update"},
     0.0007, 0.58, 1.2),
    ("mascot-int8", {"method": "mascot-int8"}, -0.0003, 0.416, 2.0),
    ("half", {"method": "half"}, 0.0115, 0.5, 1.9),
    ("mpt", {"method": "mpt"}, 0.0001, 1.0, 1.4),
    ("muppet", {"method": "muppet"}, 0.0308, 1.0, 2.1),
    ("afp", {"method": "afp"}, 0.0003, 1.0, 1.7),
)  # fmt: skip


class World:
    """Makes quantities: noise of a given size around a mean, over some repetitions."""

    def __init__(self, repetitions=3, seed=0):
        self.repetitions = repetitions
        self.random = random.Random(seed)

    def quantity(self, mean, noise):
        values = [self.random.gauss(mean, noise) for _ in range(self.repetitions)]
        middle = float(np.mean(values))
        if self.repetitions == 1:
            return {"mean": middle, "low": None, "high": None, "values": values}
        n = self.repetitions
        half = float(stdtrit(n - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(n)
        return {"mean": middle, "low": middle - half, "high": middle + half, "values": values}


def write_results(
    folder, data=("synthetic ml-1m",), epochs=12, times=TIMES, losses=LOSSES, **world
):
    """Write every result file of the study into a folder, which has the profile's name."""
    folder.mkdir(parents=True, exist_ok=True)
    made = World(**world)
    for maker in (table1, fig4, fig5, fig7, fig8, fig9, fig10, fig11, table2, beyond):
        content = {"figure": maker.__name__, "profile": folder.name, "hardware": HARDWARE}
        train = {"epochs": epochs, "factors": 128}
        content |= {"settings": {"repetitions": made.repetitions, "train": train}, "rows": []}
        for name in data:
            for part, rows in maker(made, epochs, times, losses).items():
                content.setdefault(part, []).extend({"data": name, **row} for row in rows)
        (folder / f"{maker.__name__}.json").write_text(json.dumps(content, indent=1))


def table1(made, epochs, times, losses):
    shares = [place / 100 for place in range(1, 101)]
    distribution = [
        {"side": side, "share": share, "ratings": round(top * (share * 100) ** -0.9) + 1}
        for side, top in (("users", 2300), ("items", 3400))
        for share in shares
    ]
    sizes = {"users": 6040, "items": 3706, "ratings": 1000209}
    sparsity = 1 - sizes["ratings"] / sizes["users"] / sizes["items"]
    return {"rows": [{**sizes, "sparsity": sparsity}], "distribution": distribution}


def fig4(made, epochs, times, losses):
    rows = [
        {
            "half_share": share,
            "seconds": made.quantity(0.05 + 0.01 * share, 0.0006),
            "relative_time": made.quantity(1 + 0.2 * share, 0.01),
        }
        for share in (0.0, 0.2, 0.4, 0.6, 1.0)
    ]
    return {"rows": rows}


def fig5(made, epochs, times, losses):
    rows = [
        {
            "side": side,
            "quartile": quartile,
            "epoch": epoch,
            "gradient": made.quantity(
                0.3 + quartile / 10 + math.exp(-epoch * (5 - quartile) / 6), 0.01
            ),
        }
        for side in ("users", "items")
        for quartile in (1, 2, 3, 4)
        for epoch in range(epochs)
    ]
    return {"rows": rows}


def fig7(made, epochs, times, losses):
    rows = [
        {
            "factors": factors,
            "method": method,
            "seconds": made.quantity(factors / 40 * times[method], 0.02),
            "relative_time": made.quantity(times[method], 0.012),
        }
        for factors in (64, 128)
        for method in ("fp32", "half", "fp16", "mpt", "muppet", "afp", "mascot")
    ]
    return {"rows": rows}


def fig8(made, epochs, times, losses):
    rows = [
        {
            "method": method,
            "epoch": epoch,
            "rmse": made.quantity(
                0.859 + losses[method] * epoch / epochs + 0.5 * math.exp(-epoch * 6 / epochs),
                0.0004,
            ),
        }
        for method in METHODS
        for epoch in range(epochs)
    ]
    final = [
        {
            "method": method,
            "rmse": made.quantity(0.859 + losses[method], 0.0004),
            "loss": made.quantity(losses[method], 0.0001 if method != "fp32" else 0.0),
            "relative_bytes": made.quantity(BYTES.get(method, 1.0), 0.0),
            "events": events(method),
        }
        for method in METHODS
    ]
    return {"rows": rows, "final": final}


def events(method):
    if method == "mascot":
        return [
            {"epoch": 0, "switched": 0.0},
            {"epoch": 8, "switched": 0.21},
            {"epoch": 9, "switched": 0.4},
        ]
    if method == "muppet":
        return [
            {"epoch": epoch, "word_length": bits} for epoch, bits in ((0, 8), (3, 12), (7, None))
        ]
    return []


def fig9(made, epochs, times, losses):
    rows = [
        {
            "variant": variant,
            "seconds": made.quantity(3.2 * times[method], 0.02),
            "relative_time": made.quantity(times[method], 0.012),
            "rmse": made.quantity(0.859 + losses[method], 0.0004),
            "loss": made.quantity(losses[method], 0.0001 if method != "fp32" else 0.0),
        }
        for variant, method in (
            ("fp32", "fp32"),
            ("mascot-n1", "fp16"),
            ("mascot-n2", "mascot-n2"),
            ("mascot", "mascot"),
        )
    ]
    return {"rows": rows}


def fig10(made, epochs, times, losses):
    costs = {"naive": 0.0, "opt": 0.0002, "ours": -0.00003}
    rows = [
        {
            "lookup": lookup,
            "groups": groups,
            "seconds": made.quantity(3.7 * (1 + cost * groups), 0.01),
            "relative_time": made.quantity(1 + cost * groups, 0.004 if lookup != "naive" else 0.0),
        }
        for groups in (1, 10, 50, 100, 200, 300, 500)
        for lookup, cost in costs.items()
    ]
    return {"rows": rows}


def fig11(made, epochs, times, losses):
    rows = [
        {
            "groups": groups,
            "seconds": made.quantity(3.7 - 0.1 * math.log(groups), 0.02),
            "rmse": made.quantity(0.8626, 0.0004),
        }
        for groups in (1, 10, 50, 100, 200, 300, 500)
    ]
    return {"rows": rows}


def table2(made, epochs, times, losses):
    rows = [
        {
            "period": period,
            "sample_ratio": ratio,
            "seconds": made.quantity(3.5 + 2 * ratio / period, 0.02),
            "rmse": made.quantity(0.8626, 0.0004),
        }
        for period in (1, 2, 4, 8)
        for ratio in (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
    ]
    naive = {"period": 1, "sample_ratio": 1.0}
    tests = [
        {
            "quantity": quantity,
            "chosen": {"period": 2, "sample_ratio": 0.05},
            "naive": naive,
            "difference": made.quantity(mean, noise),
            "p_value": p,
            "significant": p < 0.05,
        }
        for quantity, mean, noise, p in (
            ("seconds", -1.9, 0.02, 0.00003),
            ("rmse", 0.0001, 0.0003, 0.4321),
        )
    ]
    return {"rows": rows, "tests": tests}


def beyond(made, epochs, times, losses):
    rows = [
        {
            "name": name,
            "settings": settings,
            "rmse": made.quantity(0.859 + loss, 0.0004),
            "loss": made.quantity(loss, 0.0001 if name != "fp32" else 0.0),
            "relative_bytes": made.quantity(moved, 0.002 if "mascot" in name else 0.0),
            "relative_time": made.quantity(time, 0.01 if name != "fp32" else 0.0),
        }
        for name, settings, loss, moved, time in BEYOND
    ]
    return {"rows": rows}
