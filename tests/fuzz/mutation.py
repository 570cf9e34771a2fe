"""Damage to bytes, and the choice of what is damaged: all a function of the generator's state."""

from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[Random, bytes], bytes]

BOUNDARIES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)


def flip_bit(rng: Random, data: bytes) -> bytes:
    if not data:
        return data
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def set_byte(rng: Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]


def cut(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def remove(rng: Random, data: bytes) -> bytes:
    begin, end = _range(rng, data)
    return data[:begin] + data[end:]


def repeat(rng: Random, data: bytes) -> bytes:
    begin, end = _range(rng, data)
    return data[:end] + data[begin:end] * rng.choice((1, 1, 2, 50)) + data[end:]


def move(rng: Random, data: bytes) -> bytes:
    begin, end = _range(rng, data)
    rest = data[:begin] + data[end:]
    place = rng.randrange(len(rest) + 1)
    return rest[:place] + data[begin:end] + rest[place:]


def insert(rng: Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.choice((1, 2, 8, 100))) + data[place:]


def set_integer(rng: Random, data: bytes) -> bytes:
    """Overwrite a field of one to eight bytes, in either order, by a number at a boundary."""
    width = rng.choice((1, 2, 4, 8))
    place = rng.randrange(len(data) + 1)
    number = (rng.choice(BOUNDARIES) + rng.randrange(-1, 2)) % 2 ** (8 * width)
    field = number.to_bytes(width, rng.choice(("little", "big")))
    return data[:place] + field + data[place + width :]


BYTES: tuple[Mutation, ...] = (flip_bit, set_byte, cut, remove, repeat, move, insert, set_integer)


def _range(rng: Random, data: bytes) -> tuple[int, int]:
    begin = rng.randrange(len(data) + 1)
    return begin, min(len(data), begin + rng.choice((1, 2, 4, 16, 64, 512)))


def some_of(mutations: Sequence[Mutation]) -> Mutation:
    """Return a mutation that applies one to three of these."""

    def apply(rng: Random, data: bytes) -> bytes:
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = rng.choice(mutations)(rng, data)
        return data

    return apply


damage = some_of(BYTES)
