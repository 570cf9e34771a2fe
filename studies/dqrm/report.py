"""Stage ``report``: the paper's claims beside what was found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any, Final

from mascot_jax.base.files import atomic_write
from pipeline.common.paths import read_json
from studies.dqrm.settings import figure_path, read_study, report_path

Row = dict[str, Any]
FIGURES: Final = ("main", "bits", "pretraining", "gradients")
REFERENCE: Final = "fp32"


def main() -> None:
    """Write the report."""
    profile = read_study().profile
    results = {name: read_json(figure_path(profile, name)) for name in FIGURES}
    text = report(results)
    with atomic_write(report_path(profile)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def report(results: dict[str, Any]) -> str:
    """Return the report, in Markdown."""
    rows = {name: result["rows"] for name, result in results.items()}
    template = Template((Path(__file__).parent / "report.md").read_text(encoding="utf-8"))
    return template.substitute(
        conditions=_conditions(results["main"]),
        main=main_table(rows["main"]),
        best=_best(rows["main"]),
        claims=claims(rows["main"]),
        bits=epochs_table(rows["bits"]),
        pretraining=epochs_table(rows["pretraining"]),
        gradients=gradients_table(rows["gradients"]),
    )


def by_variant(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each variant, by seed."""
    names = dict.fromkeys(row["variant"] for row in rows)
    return {
        name: sorted((r for r in rows if r["variant"] == name), key=lambda r: int(r["seed"]))
        for name in names
    }


def mean(rows: Sequence[Row], metric: str) -> float:
    """Return the mean of a metric."""
    return statistics.fmean(row[metric] for row in rows)


def difference(rows: Sequence[Row], reference: Sequence[Row], metric: str) -> tuple[float, float]:
    """Return mean and standard deviation of the differences, seed by seed."""
    pairs = zip(rows, reference, strict=True)
    found = [row[metric] - other[metric] for row, other in pairs]
    return statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else 0.0


def main_table(rows: Sequence[Row]) -> str:
    """Return the table of all variants with their bytes and metrics."""
    variants = by_variant(rows)
    reference = variants[REFERENCE]
    lines = []
    for name, own in variants.items():
        training = mean(own, "table_bytes_training")
        lines.append(
            [
                f"`{name}`",
                f"{training / 1e6:.2f}",
                f"1/{mean(reference, 'table_bytes_training') / training:.1f}",
                f"{mean(own, 'table_bytes_deployed') / 1e6:.2f}",
                _metric(own, reference, "auc"),
                _metric(own, reference, "log_loss"),
                f"{mean(own, 'accuracy'):.4f}",
            ]
        )
    header = ["variant", "tables in training, MB", "of FP32's", "deployed, MB"]
    return markdown([*header, "AUC (over `fp32`)", "log loss (over `fp32`)", "accuracy"], lines)


def _metric(own: Sequence[Row], reference: Sequence[Row], name: str) -> str:
    if own is reference:
        return f"{mean(own, name):.4f}"
    by, deviation = difference(own, reference, name)
    spread = f" ± {deviation:.4f}" if len(own) > 1 else ""
    return f"{mean(own, name):.4f} ({by:+.4f}{spread})"


def _best(rows: Sequence[Row]) -> str:
    mean_loss = mean(rows, "log_loss_of_mean")
    text = f"Predicting the test rows' mean has a log loss of {mean_loss:.4f}."
    if "best_auc" not in rows[0]:
        return text
    return (
        f"{text} The planted probabilities, which nothing can beat, have an AUC of "
        f"{rows[0]['best_auc']:.4f} and a log loss of {rows[0]['best_log_loss']:.4f}."
    )


def claims(rows: Sequence[Row]) -> str:
    """Return the claims of the paper and the targets, each with what was found."""
    variants = by_variant(rows)
    fp32 = variants[REFERENCE]

    def over(name: str, metric: str, other: str = REFERENCE) -> float:
        return difference(variants[name], variants[other], metric)[0]

    def share(name: str, metric: str = "table_bytes_training") -> float:
        return mean(fp32, "table_bytes_training") / mean(variants[name], metric)

    few = "int4, ids seen 10 times"
    lines = [
        [
            "the paper: INT4 (QAT) is at or above FP32 in accuracy",
            "+0.15 percentage points (Kaggle)",
            f"{100 * over('dqrm', 'accuracy'):+.2f} percentage points; "
            f"AUC {over('dqrm', 'auc'):+.4f}",
        ],
        [
            "the paper: deployed tables are 1/8 of FP32's",
            "0.27 of 2.16 GB",
            f"1/{share('dqrm', 'table_bytes_deployed'):.1f}",
        ],
        [
            "the paper: tables in training",
            "FP32, and a scale a table",
            f"`dqrm` 1/{share('dqrm'):.1f}, `int4` 1/{share('int4'):.1f}",
        ],
        [
            "`int4` is within 0.0003 of FP32, same schedule",
            "",
            _verdict(over("int4", "auc") >= -0.0003 and over("int4", "log_loss") <= 0.0003)
            + f": AUC {over('int4', 'auc'):+.4f}, log loss {over('int4', 'log_loss'):+.4f}",
        ],
        [
            "`int4` is better than `dqrm` on both",
            "",
            _verdict(over("int4", "auc", "dqrm") > 0 and over("int4", "log_loss", "dqrm") < 0)
            + f": AUC {over('int4', 'auc', 'dqrm'):+.4f}, log loss "
            f"{over('int4', 'log_loss', 'dqrm'):+.4f}",
        ],
        [
            "`int4` trains in 1/5.5 of FP32's bytes",
            "",
            _verdict(share("int4") >= 5.5) + f": 1/{share('int4'):.1f}",
        ],
        [
            "with ids seen 10 times in 1/40, at FP32's AUC",
            "",
            _verdict(share(few) >= 40 and over(few, "auc") >= -0.0003)
            + f": 1/{share(few):.1f}, AUC {over(few, 'auc'):+.4f}",
        ],
    ]
    return markdown(["claim or target", "the paper", "found"], lines)


def _verdict(kept: bool) -> str:
    return "yes" if kept else "no"


def epochs_table(rows: Sequence[Row]) -> str:
    """Return held-out accuracy, and AUC in parentheses, of each variant after each epoch."""
    variants = by_variant(rows)
    epochs = max(len(row["epochs"]) for row in rows)
    lines = [
        [f"`{name}`", *(_of_epoch(own, epoch) for epoch in range(epochs))]
        for name, own in variants.items()
    ]
    return markdown(["variant", *(f"epoch {epoch + 1}" for epoch in range(epochs))], lines)


def _of_epoch(rows: Sequence[Row], epoch: int) -> str:
    def of(metric: str) -> float:
        return statistics.fmean(row["epochs"][epoch][f"validation_{metric}"] for row in rows)

    return f"{of('accuracy'):.4f} ({of('auc'):.4f})"


def gradients_table(rows: Sequence[Row]) -> str:
    """Return the bytes that a worker sends in a step, and the metrics over unrounded gradients."""
    variants = by_variant(rows)
    reference = next(iter(variants.values()))
    lines = []
    for name, own in variants.items():
        sent = own[0]["epochs"][0]["sent_bytes_per_step"]
        whole = reference[0]["epochs"][0]["sent_bytes_per_step"]
        metrics = [_metric(own, reference, metric) for metric in ("auc", "log_loss")]
        lines.append([f"`{name}`", f"{sent / 1e3:.1f}", f"1/{whole / sent:.2f}", *metrics])
    header = ["gradients", "sent by a worker in a step, kB", "of float32's"]
    return markdown([*header, "AUC (over `float32`)", "log loss (over `float32`)"], lines)


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _conditions(result: dict[str, Any]) -> str:
    seeds = len({row["seed"] for row in result["rows"]})
    machine = ", ".join(f"{name.replace('_', ' ')}: {v}" for name, v in result["hardware"].items())
    return (
        f"- Data: {result['data']}; {result['rows'][0]['rows']:,} rows to train on\n"
        f"- Seeds: {seeds}\n- Hardware: {machine}"
    )


if __name__ == "__main__":
    main()
