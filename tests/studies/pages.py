"""Reads a report's page as a browser would, without drawing it."""

import re
from html.parser import HTMLParser
from typing import NamedTuple

VOID = {"meta", "link", "br"}
NUMBER = re.compile(r"[+−]?\d[\d,]*(?:\.\d+)?")


class Cell(NamedTuple):
    """A cell of a table: its text and attributes."""

    text: str
    attributes: dict


class Page(HTMLParser):
    """A page's tables, figures and sections; raises where a tag is not closed."""

    def __init__(self, text):
        super().__init__()
        self.tables = []
        """Of rows of cells, headers included."""
        self.elements = []
        """Each tag with its attributes."""
        self.texts = []
        """All that is to be read, one piece after the other."""
        self._open = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in VOID:
            return
        self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(Cell("", dict(attributes)))

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, text):
        if "style" in self._open:
            return
        self.texts.append(text)
        if {"td", "th"} & set(self._open):
            row = self.tables[-1][-1]
            row[-1] = row[-1]._replace(text=row[-1].text + text)

    @property
    def cells(self):
        return [cell for table in self.tables for row in table for cell in row]


def printed(text):
    """The numbers in a text, each with how far its last digit lets it be off."""
    found = []
    for number in NUMBER.findall(text):
        plain = number.replace(",", "").replace("−", "-")
        digits = len(plain.partition(".")[2])
        found.append((float(plain), 0.5 * 10**-digits * 1.0001))
    return found
