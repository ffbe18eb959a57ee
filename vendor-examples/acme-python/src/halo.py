"""HALO frames as text: `:` address (6 digits), a letter, data, `*`, the XOR of all between `:` and `*`
in two capital hex digits, CR LF. Pure: no line, no vault. Not here: what the letters mean."""

from dataclasses import dataclass
from functools import reduce

DIGITS = frozenset("0123456789")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
ADDRESS = 6


@dataclass
class Frame:
    """One frame that is whole and whose checksum is right."""

    address: str
    letter: str
    data: str


def encode(address, letter, data=""):
    body = f"{address}{letter}{data}".encode("ascii")
    return b":%b*%02X\r\n" % (body, checksum(body))


def checksum(body):
    return reduce(lambda total, byte: total ^ byte, body, 0)


def decode(line):
    """The frame that a line ends with; what stands before its last `:` is noise. None: there is
    none, or it was spoiled on the way."""
    colon = line.rfind(b":")
    body, star, tail = line[colon + 1 :].rpartition(b"*")
    if colon < 0 or not star or tail != b"%02X\r\n" % checksum(body):
        return None
    if any(not 32 <= byte <= 126 for byte in body):
        return None
    text = body.decode("ascii")
    address, letter, data = text[:ADDRESS], text[ADDRESS : ADDRESS + 1], text[ADDRESS + 1 :]
    return Frame(address, letter, data) if is_address(address) and letter in LETTERS else None


def is_address(text):
    return len(text) == ADDRESS and DIGITS.issuperset(text)


def numbers(data, *digits):
    """The numbers of a reply's data, each of the digits that the protocol says, or None."""
    parts = data.split(",")
    if [len(part) for part in parts] != list(digits):
        return None
    return [int(part) for part in parts] if all(map(DIGITS.issuperset, parts)) else None
