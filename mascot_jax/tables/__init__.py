"""Factors whose groups of rows each have a precision."""
