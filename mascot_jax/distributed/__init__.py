"""One training shared by several workers: devices of a process, or processes on several hosts.

The order of a deterministic training (``docs/determinism.md``) is a list of blocks that share no
row; who works on which block changes no bit. So a worker keeps some ranges of one side and all
their ratings (``division``), and the other side's ranges go from worker to worker as the list asks
(``steps``, ``epoch``).
"""
