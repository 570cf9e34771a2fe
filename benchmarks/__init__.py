"""Programs that print figures.

Each times its variants interleaved in one process and reports medians.
"""
