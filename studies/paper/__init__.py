"""The evaluation of the MASCOT paper, measured again: ``dvc repro studies/paper/dvc.yaml``.

A stage runs as ``python -m studies.paper.<stage>``, in the repository's root. What the user can put
right ends it with one line and exit status 2, which importing ``pipeline`` arranges.
"""

import pipeline  # noqa: F401
