"""Opening, selling and clearing, and what the meter remembers of it.

One frame that adds credit in a call. It is never sent again: after silence the meter's own record is
asked, and where that proves nothing the answer is `unknown`.
"""

from dataclasses import dataclass

import halo
import polymeter
from componentize_py_types import Err
from exchange import No, address_of, ask, question
from wit_world.exports.purse import Evidence
from wit_world.imports import vault
from wit_world.imports.types import (
    Credit,
    Purchase,
    Receipt,
    SellOutcome_Confirmed,
    SellOutcome_Refused,
    SellOutcome_Unknown,
)

KEY_LABEL = "sale"
MAC_BYTES = 4
CUSTOMER = 12
COUNT_MOST = 99_999
FEN_MOST = 99_999_999
LOOKS = 2  # how often a question that changes nothing is asked


@dataclass
class Record:
    """What the meter answers to `C`."""

    count: int
    last: int
    balance: int


def open_account(call, opening):
    asked = Purchase(opening.count, opening.credit)
    return _add(call, "O", opening.customer_number, asked)


def sell(call, order):
    return _add(call, "S", order.customer_number, order.purchase)


def clear(call):
    """Empties the purse. The meter's yes alone would do, and its record makes sure."""
    address = address_of(call)
    mac = _signed(address, "K", "")
    try:
        ask(address, "K", mac)
    except No as no:
        return SellOutcome_Refused(no.refusal())
    except Err as lost:
        return SellOutcome_Unknown(f"no answer: {lost.value.detail}")
    try:
        record = _look(address)
    except Err as lost:
        return SellOutcome_Unknown(f"the meter accepted, but: {lost.value.detail}")
    if record != Record(0, 0, 0):
        return SellOutcome_Unknown("the meter accepted, but is not empty")
    return _confirmed(record)


def check(call, count):
    """Evidence about purchase `count`, or about the last one. The meter remembers its last one only."""
    record = _look(address_of(call))
    asked = record.count > 0 and count in (None, record.count)
    last = Purchase(record.count, _money(record.last))
    return Evidence(record.count, last if asked else None, _money(record.balance))


def _add(call, letter, customer, asked):
    """The one frame that adds credit, then a look at what the meter has recorded."""
    address = address_of(call)
    data = _fields(customer, asked)
    mac = _signed(address, letter, data)
    # From here on credit may be in the meter: no error leaves this function, only an outcome.
    try:
        ask(address, letter, f"{data},{mac}")
        accepted = True
    except No as no:
        return SellOutcome_Refused(no.refusal())
    except Err:
        accepted = False
    said = "accepted the purchase" if accepted else "did not answer"
    try:
        record = _look(address)
    except Err as lost:
        detail = lost.value.detail
        return SellOutcome_Unknown(f"the meter {said}, and its record could not be read: {detail}")
    there = (record.count, record.last) == (asked.count, asked.credit.amount)
    # An opening without money leaves no trace in the record: only the meter's own yes proves it.
    if there and (accepted or asked.credit.amount > 0):
        return _confirmed(record)
    return SellOutcome_Unknown(f"the meter {said}, and its count is {record.count}")


def _fields(customer, asked):
    """Customer (12), count (5), fen (8)."""
    count, fen = asked.count, asked.credit.amount
    if asked.credit.quantity != polymeter.MONEY:
        raise polymeter.error(polymeter.BAD_PARAMETER, "this meter's purse holds money")
    if len(customer) > CUSTOMER or not halo.DIGITS.issuperset(customer):
        detail = "a customer number is 12 digits at most"
        raise polymeter.error(polymeter.BAD_PARAMETER, detail)
    if count > COUNT_MOST or fen > FEN_MOST:
        detail = "a count has 5 digits and an amount 8"
        raise polymeter.error(polymeter.BAD_PARAMETER, detail)
    return f"{customer:0>12},{count:05},{fen:08}"


def _signed(address, letter, data):
    """The first four bytes of the HMAC over address, letter and data, in hex."""
    message = f"{address}{letter}{data}".encode("ascii")
    try:
        mac = vault.mac(vault.Key(KEY_LABEL, []), polymeter.MAC_HMAC_SHA_256, b"", message)
    except Err as refused:
        raise polymeter.error(polymeter.VAULT, refused.value.detail) from None
    if len(mac) < MAC_BYTES:
        raise polymeter.error(polymeter.VAULT, "a MAC of less than four bytes")
    return mac[:MAC_BYTES].hex()


def _look(address):
    """Asks for the record, once more if the answer did not come or was spoiled."""
    for looks_left in reversed(range(LOOKS)):
        try:
            found = halo.numbers(question(address, "C"), 5, 8, 8)
            if found is None:
                raise polymeter.error(polymeter.GARBLED, "a record of a wrong shape")
            return Record(*found)
        except Err as failure:
            said_no = failure.value.code == polymeter.DEVICE_SAYS_NO
            if said_no or looks_left == 0:
                raise


def _money(fen):
    return Credit(polymeter.MONEY, fen)


def _confirmed(record):
    return SellOutcome_Confirmed(Receipt(record.count, _money(record.balance), []))
