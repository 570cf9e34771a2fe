"""The study's report: one page, and the same in Markdown, from the files of its measurements.

``results`` reads the files, ``tables``, ``figures``, ``answers`` and ``findings`` say what is in
them, ``sections`` puts these in order, ``html`` and ``markdown`` write them down.
"""
