"""How sure differences are: ``python -m studies.dqrm.intervals FIGURE --help``.

Trains variants of a figure with more seeds than the study does, on the profile ``paired``, whose
test rows are as many as those of the training: few would make the AUC itself uncertain. All are
compared with the first of them, seed by seed. Intervals of the mean differences are Student's, at
95 %.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.harness.intervals import Interval, mean_interval
from benchmarks.harness.program import make_parser, write_result
from mascot_jax.clicks.load import load_clicks
from mascot_jax.dlrm.workers import offer_devices
from pipeline.common.hardware import describe_hardware
from pipeline.common.stage import check_native
from studies.dqrm.figure import Row, trainings
from studies.dqrm.report import by_variant, mean
from studies.dqrm.settings import Study, raw_path, read_study

PROFILE: Final = "paired"
METRICS: Final = ("auc", "log_loss")


def main(words: Sequence[str]) -> None:
    """Train, and print the differences."""
    parser = make_parser(__doc__)
    study = read_study()
    parser.add_argument("figure", choices=study.figures, help="of studies/dqrm/params.yaml")
    parser.add_argument(
        "--variants",
        nargs="+",
        metavar="NAME",
        help="of the figure; all others are compared with the first (default: all of the figure)",
    )
    parser.add_argument("--profile", choices=study.profiles, default=PROFILE)
    parser.add_argument("--seeds", type=int, help="from 0 on (default: those of the profile)")
    options = parser.parse_args(words)
    unknown = {*(options.variants or ())} - {*study.figures[options.figure]}
    if unknown:
        names = "; ".join(study.figures[options.figure])
        parser.error(f"--variants: {min(unknown)!r}: must be of {options.figure}: {names}")
    check_native()
    study = chosen(study, options)
    variants = study.figures[options.figure].values()
    offer_devices(max(study.train(variant, 0).workers for variant in variants))
    load_clicks(study.chosen.data, raw_path(study.profile))
    rows = trainings(study, options.figure)
    found = differences(rows)
    for name, one in found.items():
        shown = (f"{m} {Interval(one[m]['mean'], one[m]['half_width'])}" for m in METRICS)
        sys.stdout.write(f"{name:32} over {one['reference']}: {', '.join(shown)}\n")
    result = {
        "figure": options.figure,
        "profile": study.profile,
        "seeds": study.chosen.seeds,
        "hardware": describe_hardware(),
        "differences": found,
    }
    write_result(options.json, result)


def chosen(study: Study, options: Any) -> Study:
    """Return the study with one profile, its seeds, and the variants that are compared."""
    all_variants = study.figures[options.figure]
    names = options.variants or list(all_variants)
    profile = study.profiles[options.profile]
    if options.seeds is not None:
        profile = profile.model_copy(update={"seeds": list(range(options.seeds))})
    return study.model_copy(
        update={
            "profile": options.profile,
            "profiles": {options.profile: profile},
            "figures": {options.figure: {name: all_variants[name] for name in names}},
        }
    )


def differences(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return what each variant but the first has over the first, seed by seed."""
    variants = by_variant(rows)
    (reference, first), *others = variants.items()
    found = {}
    for name, own in others:
        one: dict[str, Any] = {"reference": reference}
        for metric in METRICS:
            pairs = zip(own, first, strict=True)
            values = [row[metric] - other[metric] for row, other in pairs]
            interval = mean_interval(values)._asdict()
            one[metric] = interval | {"of_reference": mean(first, metric), "by_seed": values}
        found[name] = one
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
