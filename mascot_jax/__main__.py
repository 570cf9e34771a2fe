"""``python -m mascot_jax``: the ``mascot`` command."""

from mascot_jax.command.main import run

if __name__ == "__main__":
    raise SystemExit(run())
