"""A HALO-1 meter as the wire sees it, for `polymeter-sdk certify`. Written from the protocol page in
the README and sharing nothing with the driver, so that no mistake is made twice. Needs Python 3.9 and
its standard library. How it talks to the kit: docs/device-simulator.md of Polymeter."""

import hashlib
import hmac
import json
import os
import sys

FEN_MOST = 99_999_999


class Refused(Exception):
    """The two digits of an error."""


class Meter:
    def __init__(self, start):
        self.address = start["address"]
        customer = start.get("customer")
        self.customer = None if customer is None else customer.zfill(12)
        self.count = start.get("count", 0)
        self.balance = start.get("balance", 0)
        self.last = start.get("last", 0)
        self.connected = start.get("supply") == 2
        self.energy = start.get("readings", {}).get("1.0.1.8.0.255", 0)
        self.parameters = {"alarm": 0, "limit": FEN_MOST, **start.get("parameters", {})}
        self.key = bytes.fromhex(start.get("keys", {}).get("sale", ""))
        self.credit_frames = 0

    def truth(self):
        last = {"count": self.count, "amount": self.last} if self.count > 0 else None
        return {
            "customer": self.customer,
            "count": self.count,
            "balance": self.balance,
            "last": last,
            "supply": 2 if self.connected else 1,
            "parameters": self.parameters,
            "credit_frames": self.credit_frames,
        }

    def hear(self, line):
        """One line off the wire. None: not a frame for this meter, which stays silent."""
        _, colon, text = line.decode("latin-1").rpartition(":")
        body, star, tail = text.rpartition("*")
        if not colon or not star or not tail.endswith("\r\n"):
            return None
        if not body.startswith(self.address) or len(body) == len(self.address):
            return None
        letter, data = body[6], body[7:]
        try:
            if tail[:-2] != total(body):
                raise Refused("01")
            answer = letter.lower() + self.answer(letter, data)
        except Refused as refused:
            answer = f"e{refused}"
        answer = self.address + answer
        return f":{answer}*{total(answer)}\r\n".encode("ascii")

    def answer(self, letter, data):
        if letter == "I":
            return "HALO-1"
        if letter == "R":
            return f"{self.energy:010},{self.balance:08},{int(self.connected)}"
        if letter == "C":
            return f"{self.count:05},{self.last:08},{self.balance:08}"
        if letter in ("O", "S"):
            self.credit_frames += 1
            return self.add(letter, data)
        if letter == "K":
            self.check_mac("K", data)
            self.customer, self.count, self.balance, self.last = None, 0, 0, 0
            return ""
        if letter == "V":
            if data not in ("0", "1"):
                raise Refused("07")
            self.connected = data == "1"
            return data
        if letter == "P":
            name, _, digits = data.partition("=")
            if name not in self.parameters or number(digits) > FEN_MOST:
                raise Refused("07")
            self.parameters[name] = number(digits)
            return data
        raise Refused("02")

    def add(self, letter, data):
        fields, _, mac = data.rpartition(",")
        self.check_mac(letter + fields, mac)
        parts = fields.split(",")
        if len(parts) != 3:
            raise Refused("07")
        customer, count, fen = parts[0], number(parts[1]), number(parts[2])
        if self.customer is None and letter == "S":
            raise Refused("08")
        if self.customer not in (None, customer):
            raise Refused("06")
        # An opening without money is purchase 0; any other credit is the next one.
        following = 0 if letter == "O" and fen == 0 else self.count + 1
        if count != following or (letter == "O" and self.count > 0):
            raise Refused("04")
        if self.balance + fen > self.parameters["limit"]:
            raise Refused("05")
        self.customer, self.count, self.last = customer, count, fen
        self.balance += fen
        return f"{self.count:05},{self.balance:08}"

    def check_mac(self, message, mac):
        message = (self.address + message).encode("latin-1")
        right = hmac.new(self.key, message, hashlib.sha256).digest()[:4].hex()
        if mac.lower() != right:
            raise Refused("03")


def number(digits):
    if not digits.isascii() or not digits.isdigit():
        raise Refused("07")
    return int(digits)


def total(body):
    xor = 0
    for byte in body.encode("latin-1"):
        xor ^= byte
    return f"{xor:02X}"


def main():
    meter = Meter(json.loads(sys.argv[-1]))
    tell(meter)
    heard = b""
    while chunk := os.read(0, 512):
        *lines, heard = (heard + chunk).split(b"\n")
        for line in lines:
            answer = meter.hear(line + b"\n")
            if answer is not None:
                os.write(1, answer)
            tell(meter)


def tell(meter):
    """The truth, for the kit."""
    os.write(2, (json.dumps(meter.truth()) + "\n").encode("ascii"))


if __name__ == "__main__":
    main()
