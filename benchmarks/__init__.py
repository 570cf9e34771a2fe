"""Programs that print figures: each times its variants interleaved in one process and reports medians."""
