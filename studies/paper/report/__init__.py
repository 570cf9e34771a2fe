"""The report of a profile's results: every table and figure of the paper, its values beside ours.

``report.md`` is its text. ``results`` reads what was measured, ``published`` has what the
paper says, ``tables`` and ``figures`` show both.
"""
