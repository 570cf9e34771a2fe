"""Loops in a GPU's machine code, from what ``cuobjdump -sass`` prints.

A loop over ratings is found by what it does: it shuffles (the dot product) and writes a row, and
none of the loops within it does both.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

FUNCTION = re.compile(r"^\s*Function : (\S+)")
INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(?:@(!?U?P\w+)\s+)?([A-Za-z0-9_.]+)([^;]*);")
TARGET = re.compile(r"0x([0-9a-f]+)\s*$")
STACK = ("LDL", "STL")
SHUFFLE = "SHFL"
WRITES = ("RED", "REDG", "STG")


class Instruction(NamedTuple):
    """One instruction, and where it may go on."""

    full_name: str
    """With modifiers, as in ``LDG.E.128``."""
    following: tuple[int, ...]
    """Addresses."""

    @property
    def name(self) -> str:
        """The name without modifiers."""
        return self.full_name.split(".")[0]


Code = Mapping[int, Instruction]
"""Address -> instruction."""


def read_functions(text: str) -> dict[str, Code]:
    """Return the code of each function, by its mangled name."""
    functions: dict[str, dict[int, list[str]]] = {}
    current: dict[int, list[str]] = {}
    for line in text.splitlines():
        if function := FUNCTION.match(line):
            current = functions.setdefault(function.group(1), {})
        elif found := INSTRUCTION.match(line):
            address, condition, name, operands = found.groups()
            current[int(address, 16)] = [condition or "", name, operands]
    return {name: _with_successors(lines) for name, lines in functions.items()}


def rating_loops(code: Code) -> list[set[int]]:
    """Return the addresses of each loop over ratings."""
    outermost = [loop for loop in _loops(code, set(code)) if _meets_ratings(code, loop)]
    found = [inner for loop in outermost for inner in _innermost(code, loop)]
    return sorted(found, key=min)


def on_stack(code: Code, loop: Iterable[int]) -> int:
    """Count the accesses to the stack: spilled registers."""
    return sum(code[address].name in STACK for address in loop)


def _with_successors(lines: Mapping[int, list[str]]) -> Code:
    addresses = sorted(lines)
    after = dict(itertools.pairwise(addresses))
    code = {}
    for address in addresses:
        condition, full_name, operands = lines[address]
        name = full_name.split(".")[0]
        following = []
        # BRA.DIV leads to what a warp does that is not together: kept apart, and rare.
        jumps = name == "BRA" and full_name != "BRA.DIV"
        leaves = (jumps or name in ("EXIT", "RET")) and not condition and "P" not in operands
        if not leaves and address in after:
            following.append(after[address])
        if jumps and (target := TARGET.search(operands)):
            following.append(int(target.group(1), 16))
        code[address] = Instruction(full_name, tuple(a for a in following if a in lines))
    return {address: code[address] for address in _reachable(code, min(code))}


def _reachable(code: Code, start: int) -> set[int]:
    seen, waiting = {start}, [start]
    while waiting:
        new = set(code[waiting.pop()].following) - seen
        seen |= new
        waiting += new
    return seen


def _meets_ratings(code: Code, loop: Iterable[int]) -> bool:
    names = {code[address].name for address in loop}
    return SHUFFLE in names and not names.isdisjoint(WRITES)


def _innermost(code: Code, loop: set[int]) -> list[set[int]]:
    # Without where it is entered, the loops within it are left.
    parts = _loops(code, loop - _entries(code, loop))
    inner = [part for part in parts if _meets_ratings(code, part)]
    return [found for part in inner for found in _innermost(code, part)] if inner else [loop]


def _entries(code: Code, loop: set[int]) -> set[int]:
    return {
        target
        for address, instruction in code.items()
        if address not in loop
        for target in instruction.following
        if target in loop
    }


def _loops(code: Code, among: set[int]) -> list[set[int]]:
    """Return the strongly connected parts of the control flow among some addresses (Kosaraju)."""
    before: dict[int, list[int]] = {address: [] for address in among}
    for address in among:
        for target in among.intersection(code[address].following):
            before[target].append(address)
    parts, placed = [], set[int]()
    for start in reversed(_by_end(code, among)):
        part, waiting = set[int](), [start]
        while waiting:
            address = waiting.pop()
            if address not in placed:
                placed.add(address)
                part.add(address)
                waiting += before[address]
        if len(part) > 1:
            parts.append(part)
    return parts


def _by_end(code: Code, among: set[int]) -> list[int]:
    """Order addresses by when a search, depth first, is through with what follows them."""
    order: list[int] = []
    seen: set[int] = set()
    for start in sorted(among):
        path = [] if start in seen else [start]
        while path:
            seen.add(path[-1])
            step = next((a for a in code[path[-1]].following if a in among and a not in seen), None)
            if step is None:
                order.append(path.pop())
            else:
                path.append(step)
    return order
