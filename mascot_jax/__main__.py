"""``python -m mascot_jax``: the ``mascot`` command."""

from mascot_jax.command.main import main

if __name__ == "__main__":
    raise SystemExit(main())
