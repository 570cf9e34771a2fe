"""Ratings in text: what can be wrong with a field, a line, a line end."""

from pathlib import Path
from random import Random

from mascot_jax.data.archive import Member
from mascot_jax.data.formats import text
from mascot_jax.data.formats.columns import PAIRS as PAIR_KEYS
from mascot_jax.data.formats.delimited import read_delimited
from mascot_jax.data.formats.dialect import Dialect
from mascot_jax.data.formats.netflix import read_netflix
from mascot_jax.data.formats.own import read_own
from mascot_jax.data.formats.yahoo_music import read_yahoo_music
from mascot_jax.settings import Columns
from tests.fuzz.mutation import Mutation, damage, some_of
from tests.fuzz.target import Target

SEPARATORS = (b",", b"\t", b"::", b"|", b":", b";", b" ")

FIELDS = (
    b"", b" ", b"-", b"0", b"-0", b"007", b"+7", b"1_0", b"1e39", b"3.4028235e38", b"1e-50",
    b"0x1p3", b"nan", b"-inf", b"Infinity", b"NULL", b"true", b"3.", b".5", b"1,5", b"\x00",
    b"a\x00b", b"\x1f", b"\x1a", b"\r", b"\n", b"\x0b", b"\xc2\x85", b"\xe2\x80\xa8", b"\xff",
    b"\xed\xa0\x80", b'"', b'""', b'"a', b'a"b', b'"a"b', b'"a\nb"', b'"a""b"', b"'", b"\\", b"::",
    b"|", b"1:", b"0|2", b"1|", b"#", "日本".encode(), "٣".encode(), b"9223372036854775807",
    b"-9223372036854775808", b"9223372036854775808", b"9" * 30, b"1" * 1000, b"x" * 20_000,
)  # fmt: skip


def change_field(rng: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    separator = rng.choice([s for s in SEPARATORS if s in lines[place]] or [b","])
    fields = lines[place].split(separator)
    fields[rng.randrange(len(fields))] = rng.choice(FIELDS)
    lines[place] = separator.join(fields)
    return b"\n".join(lines)


def change_fields(rng: Random, data: bytes) -> bytes:
    """Add or drop a field of a line."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    separator = rng.choice(SEPARATORS)
    fields = lines[place].split(separator)
    if rng.random() < 0.5:
        fields.insert(rng.randrange(len(fields) + 1), rng.choice(FIELDS))
    else:
        del fields[rng.randrange(len(fields))]
    lines[place] = separator.join(fields)
    return b"\n".join(lines)


def change_lines(rng: Random, data: bytes) -> bytes:
    """Drop, repeat, move or join lines."""
    lines = data.split(b"\n")
    taken = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.choice((0, 1, 2, 40))):
        lines.insert(rng.randrange(len(lines) + 1), taken)
    return b"\n".join(lines)


def change_ends(rng: Random, data: bytes) -> bytes:
    end = rng.choice((b"\r\n", b"\r", b"\n\n", b"\n\r", b"\x00\n"))
    data = data.replace(b"\n", end, rng.choice((-1, 1)))
    return rng.choice((data, b"\xef\xbb\xbf" + data, b"\xff\xfe" + data, data.rstrip(b"\r\n")))


alter: Mutation = some_of(
    (change_field, change_field, change_field, change_fields, change_lines, change_ends, damage)
)


def _cut_finely(path: Path) -> None:
    """Let every sixteenth input, small as it is, be read in several pieces: each costs a query."""
    size = path.stat().st_size
    text.PIECE_BYTES = 2**20 if size % 16 else 1 + size % 97


def _member(path: Path) -> Member:
    _cut_finely(path)
    return Member(path.name, path.name, path, "*")


def _delimited(name: str, dialect: Dialect | None, columns: Columns, *seeds: bytes) -> Target:
    def read(path: Path) -> object:
        return read_delimited(_member(path), dialect, columns)

    return Target(name, lambda: seeds, alter, read)


PLACED = Columns(user="0", item="1", rating="2")
CSV = _delimited(
    "csv",
    None,
    Columns(separator=","),
    b"user,item,rating\n" + b"".join(b"%d,%d,%d.5\n" % (i, i * i, i % 5) for i in range(9)),
    b'item,"user",time,rating\r\n"a ""b""",x,1,3\r\n"c\nd",y,2,4.5\r\n',
    "user,item,rating\né,日本,-3e2\n-1,2,0\n".encode(),
)
TSV = _delimited(
    "tsv", Dialect("\t", 4, (1.0, 5.0)), PLACED, b"1\t2\t3\t88\n4\t5\t1\t99\n7\t8\t5\t0\n"
)
COLONS = _delimited(
    "colons", Dialect("::", 4, (0.5, 5.0)), PLACED, b"1::2::3::88\n4::5::0.5::99\n7::8::5::0\n"
)


def _beside(path: Path, name: str, content: bytes) -> None:
    path.with_name(name).write_bytes(content)


def _read_netflix(path: Path) -> object:
    _cut_finely(path)
    data = path.read_bytes()
    ratings, _, probe = data.partition(b"\f")
    _beside(path, "combined_data_1.txt", ratings)
    _beside(path, "probe.txt", probe)
    return read_netflix(path.parent)


def _read_yahoo(path: Path) -> object:
    _cut_finely(path)
    training, _, validation = path.read_bytes().partition(b"\f")
    _beside(path, "trainIdx1.txt", training)
    _beside(path, "validationIdx1.txt", validation)
    return read_yahoo_music(path.parent)


def _read_own(path: Path) -> object:
    _cut_finely(path)
    return read_own(path, Columns())


def _read_pairs(path: Path) -> object:
    _cut_finely(path)
    return read_own(path, Columns(), PAIR_KEYS)


PAIRS = Target(
    "pairs",
    lambda: (
        b"user,item\n1,2\n-3,4\n0,0\n",
        b'x,"item",user\r\n1,"a ""b""",7\r\n2,"c\nd",8\r\n',
        "item,user\né,日本\n2,3\n".encode(),
    ),
    alter,
    _read_pairs,
    "input.csv",
)
OWN = Target(
    "own",
    lambda: (
        b"user,item,rating\n1,2,3\n-3,4,1.5\n0,0,2\n",
        b"user;item;rating\n1;2;3,5\n-3;4;1,5\n0;0;2\n",
        b'"user" "item" "rating"\n"a b" 2  3\n c\t4 1.5\n',
        b'rating|note|userId|itemId\r\n3|40" TV|7|8\r\n4|x, y|9|8\r\n\r\n',
        b"user, item, rating\n1, 2, 3\n3, 4, 1.5\n",
        b"1::2::3::88\n4::5::0.5::99\n",
        "user\titem\trating\né\t日本\t-3e2\n".encode("utf-16"),
    ),
    alter,
    _read_own,
    "input.dat",
)
# Both files of each in one input, a form feed between them.
NETFLIX = Target(
    "netflix",
    lambda: (
        b"1:\n7,3,2005-09-06\n8,5,2005-01-01\n2:\n7,1,2004-03-02\n9,4,2004-02-29\n\f1:\n7\n2:\n9\n",
        b"3:\n1,1,2001-01-01\n4:\n5:\n1,2,2001-01-01\n2,2,2001-01-01\n\f5:\n1\n2\n",
    ),
    alter,
    _read_netflix,
)
YAHOO = Target(
    "yahoo-music",
    lambda: (
        b"0|2\n507\t90\t3811\t20:03:00\n8\t0\t3811\t20:03:01\n1|1\n9\t100\t4\t0:0:0\n"
        b"\f0|1\n9\t50\t3811\t1:0:0\n",
        b"5|0\n6|1\n1\t1\t1\t1\n\f7|2\n1\t2\t3\t4\n2\t33\t4\t4\n",
    ),
    alter,
    _read_yahoo,
)

TARGETS = (CSV, TSV, COLONS, OWN, PAIRS, NETFLIX, YAHOO)
