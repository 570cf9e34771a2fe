"""Stage ``report``: the paper's claims beside what was found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

from mascot_jax.base.files import atomic_write
from pipeline.common.paths import read_json
from studies.dqrm.settings import figure_path, read_study, report_path

Row = dict[str, Any]
FIGURES: Final = ("main", "bits", "pretraining", "gradients")
REFERENCE: Final = "fp32"
PAPERS: Final = "int8, the paper's compensation"


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
        claims=claims(rows["main"], rows["gradients"]),
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


def claims(rows: Sequence[Row], gradients: Sequence[Row]) -> str:
    """Return the claims of the paper and the targets, each with what was found."""
    main = _Comparison(by_variant(rows), REFERENCE)
    sent = _Comparison(by_variant(gradients), "float32")
    few, hot = "int4, ids seen 10 times", "int4, float from 100 visits"
    int4_loses_nothing = main.auc("int4") >= -0.0003 and main.log_loss("int4") <= 0.0003
    over_dqrm = [main.over("int4", metric, "dqrm") for metric in ("auc", "log_loss")]
    lines = [
        [
            "the paper: INT4 (QAT) is at or above FP32 in accuracy",
            "+0.15 percentage points (Kaggle)",
            f"{100 * main.over('dqrm', 'accuracy'):+.2f} percentage points; "
            f"AUC {main.auc('dqrm'):+.4f}",
        ],
        [
            "the paper: deployed tables are 1/8 of FP32's",
            "0.27 of 2.16 GB",
            f"1/{main.share('dqrm', 'table_bytes_deployed'):.1f}",
        ],
        [
            "the paper: INT8 gradients, with its compensation",
            "1/4 of the bytes, same accuracy",
            f"1/{sent.share_sent(PAPERS):.2f}, AUC {sent.auc(PAPERS):+.4f}",
        ],
        [
            "`int4` is within 0.0003 of FP32, same schedule",
            "",
            f"{_verdict(int4_loses_nothing)}: {main.both('int4')}",
        ],
        [
            "`int4` is better than `dqrm` on both",
            "",
            f"{_verdict(over_dqrm[0] > 0 > over_dqrm[1])}: AUC {over_dqrm[0]:+.4f}, log loss "
            f"{over_dqrm[1]:+.4f}",
        ],
        [
            "`int4` trains in 1/5.5 of FP32's bytes",
            "",
            f"{_verdict(main.share('int4') >= 5.5)}: 1/{main.share('int4'):.1f}; with floats from "
            f"100 visits 1/{main.share(hot):.1f}: {main.both(hot)}",
        ],
        [
            "with ids seen 10 times in 1/40, at FP32's AUC",
            "",
            f"{_verdict(main.share(few) >= 40 and main.auc(few) >= -0.0003)}: "
            f"1/{main.share(few):.1f}, {main.both(few)}",
        ],
        _of_gradients(sent, "int8", 3.9),
        _of_gradients(sent, "int4", 7.5),
    ]
    return markdown(["claim or target", "the paper", "found"], lines)


def _of_gradients(sent: _Comparison, name: str, times: float) -> list[str]:
    kept = sent.share_sent(name) >= times and abs(sent.auc(name)) <= 0.0005
    return [
        f"gradients in {name.upper()}: 1/{times} of the bytes, AUC within 0.0005",
        "",
        f"{_verdict(kept)}: 1/{sent.share_sent(name):.2f}, AUC {sent.auc(name):+.4f}",
    ]


@dataclass(frozen=True)
class _Comparison:
    """Variants beside one of them."""

    variants: dict[str, list[Row]]
    reference: str

    def over(self, name: str, metric: str, other: str | None = None) -> float:
        return difference(self.variants[name], self.variants[other or self.reference], metric)[0]

    def auc(self, name: str) -> float:
        return self.over(name, "auc")

    def log_loss(self, name: str) -> float:
        return self.over(name, "log_loss")

    def both(self, name: str) -> str:
        return f"AUC {self.auc(name):+.4f}, log loss {self.log_loss(name):+.4f}"

    def share(self, name: str, metric: str = "table_bytes_training") -> float:
        """Return how many times fewer bytes a variant has than the reference in training."""
        whole = mean(self.variants[self.reference], "table_bytes_training")
        return whole / mean(self.variants[name], metric)

    def share_sent(self, name: str) -> float:
        """Return how many times fewer bytes a worker sends."""
        return sent_bytes(self.variants[self.reference]) / sent_bytes(self.variants[name])


def sent_bytes(rows: Sequence[Row]) -> float:
    """Return the bytes that a worker sends in a step."""
    sent: float = rows[0]["epochs"][0]["sent_bytes_per_step"]
    return sent


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
    compared = _Comparison(by_variant(rows), "float32")
    reference = compared.variants["float32"]
    lines = [
        [
            f"`{name}`",
            f"{sent_bytes(own) / 1e3:.1f}",
            f"1/{compared.share_sent(name):.2f}",
            _metric(own, reference, "auc"),
            _metric(own, reference, "log_loss"),
        ]
        for name, own in compared.variants.items()
    ]
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
