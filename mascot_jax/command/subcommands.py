"""Help and examples of every subcommand, beside what adds its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mascot_jax.command import arguments, click_arguments
from mascot_jax.command.words import Words

SUBCOMMANDS: Final[Mapping[str, tuple[arguments.Fill, Words]]] = {
    "train": (
        arguments.train,
        Words(
            "train a model on a file of ratings",
            """\
A progress bar shows epoch, RMSE on held-out ratings, ratings a second and the
time left; on a terminal only. The share of ratings held out, --validation, is
what the model is not trained on: with --validation 0 it is trained on all, and
its RMSE is not known. Ctrl-C stops after the epoch and saves the model so far,
and MODEL.checkpoint to --resume from; a second one stops at once.""",
            """\
  mascot train ratings.csv -o model.safetensors
  mascot train ratings.csv -o final.safetensors --validation 0
  mascot train orders.parquet -o orders.safetensors \\
      --user customer --item article --rating stars
  mascot train ratings.csv -o small.safetensors --factors 64 \\
      --method mascot --rounding null
  mascot train ratings.csv -o safe.safetensors --checkpoint-every 5 --resume --json""",
        ),
    ),
    "predict": (
        arguments.predict,
        Words(
            "predict the ratings of pairs of users and items",
            """\
Users and items that the model does not know are named on stderr, and predicted
from what is known: the mean rating and, in a model with biases, the other one's
bias.""",
            """\
  mascot predict model.safetensors pairs.csv
  mascot predict model.safetensors pairs.csv -o predicted.csv --clip""",
        ),
    ),
    "recommend": (
        arguments.recommend,
        Words(
            "list the best items for users",
            """\
Without items that the user has rated. Users that the model does not know are
named on stderr, and get its most-rated items.""",
            """\
  mascot recommend model.safetensors --users 1 2 3
  mascot recommend model.safetensors --users-from users.txt -n 5 \\
      --candidates new.txt --json
  mascot recommend model.safetensors --all -o lists.parquet \\
      --min-ratings 5 --popularity 0.5 --diversity 0.2""",
        ),
    ),
    "split": (
        arguments.split,
        Words(
            "split a file of ratings into one to train on and one to test on",
            """\
Files have the columns of user, item and rating, and the time where it is read or
--time names it. With user and last, every user keeps a rating to train on.""",
            """\
  mascot split ratings.csv --train train.csv --test held_out.csv
  mascot split ratings.csv --train train.parquet --test held_out.parquet \\
      --how user --test-size 0.1
  mascot split timed.csv --train train.csv --test last.csv --how last""",
        ),
    ),
    "evaluate": (
        arguments.evaluate,
        Words(
            "compare a model's predictions with ratings",
            """\
RMSE and MAE; with --top-n, precision, recall, NDCG, hit rate and reciprocal
rank, as means over the users with a relevant item, and coverage, the share of
all items that are recommended to anyone; beside them those of recommending what
most have rated. With --sampled, hit rate, NDCG and reciprocal rank of each item
among others drawn at random.""",
            """\
  mascot evaluate model.safetensors test.csv
  mascot evaluate model.safetensors test.csv --top-n 10 --popularity 1
  mascot evaluate model.safetensors test.csv --top-n 10 --sampled 100
  mascot evaluate model.safetensors test.csv --top-n 10 --relevant 4 --json""",
        ),
    ),
    "cross-validate": (
        arguments.cross_validate,
        Words(
            "train and test on each fold of a file of ratings",
            """\
Figures of mascot evaluate for each fold, their means and standard deviations.
Nothing is written.""",
            """\
  mascot cross-validate ratings.csv --factors 8 --epochs 2
  mascot cross-validate ratings.csv --folds 3 --top-n 10 --relevant 4 \\
      --factors 8 --epochs 2 --json""",
        ),
    ),
    "tune": (
        arguments.tune,
        Words(
            "search for the settings with the best figures over folds",
            """\
Trials that are worse than the median after a fold are given up. With --study,
Ctrl-C loses one trial: the same command goes on. Settings that are not searched
are options.""",
            """\
  mascot tune ratings.csv --trials 2 --epochs 2 --vary factors=4,8 \\
      --vary learning-rate=0.01..0.1:log --study study.db
  mascot tune ratings.csv --sampler grid --vary biases=yes,no --folds 2 \\
      --metric ndcg --epochs 2 --factors 8 --json""",
        ),
    ),
    "inspect": (
        arguments.inspect,
        Words(
            "show what is in a model file or a checkpoint",
            "Reading it checks it: a damaged file is refused.",
            """\
  mascot inspect model.safetensors
  mascot inspect model.safetensors --json""",
        ),
    ),
    "doctor": (
        arguments.doctor,
        Words(
            "look whether this machine has all that training takes",
            "For each problem, what to do. Exit code 1 if something is broken.",
            """\
  mascot doctor
  mascot doctor --json""",
        ),
    ),
    "export": (
        arguments.export,
        Words(
            "write a model's factors as arrays, for vector-search engines",
            """\
For each side a NumPy file of one row an id, and the ids. The inner product of a
user's and an item's row is the model's prediction. Ids without a rating have no
row.""",
            """\
  mascot export model.safetensors vectors
  mascot export model.safetensors vectors16 --dtype float16""",
        ),
    ),
    "clicks": (click_arguments.fill, click_arguments.WORDS),
}
