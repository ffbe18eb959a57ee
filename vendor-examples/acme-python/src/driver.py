"""What an ACME HALO-1 meter is, and the verbs that read it and steer it. The protocol stands in the
README; selling is in purse.py.

A driver keeps nothing between calls: the host may answer the next one with a fresh instance.
"""

from dataclasses import dataclass

import halo
import polymeter
import purse
from componentize_py_types import Err
from exchange import No, address_of, ask, question
from wit_world import exports
from wit_world.exports.frames import Explanation
from wit_world.exports.info import Description, Parameter
from wit_world.exports.meter import Identity, Snapshot
from wit_world.exports.settings import (
    SetOutcome_Confirmed,
    SetOutcome_Refused,
    SetOutcome_Unknown,
)
from wit_world.exports.supply import (
    ControlOutcome_Confirmed,
    ControlOutcome_Refused,
    ControlOutcome_Unknown,
)
from wit_world.imports.types import Decimal, Value_Number

ENERGY = "1.0.1.8.0.255"
CREDIT = "0.0.19.10.0.255"
FEN_SCALE = -2
FEN_MOST = 99_999_999
# The parameters that live in the meter, both in fen.
WRITABLE = {
    "alarm": ("Low credit alarm", "报警金额"),
    "limit": ("Most the purse may hold", "囤积金额限值"),
}


@polymeter.exported
class Info(exports.Info):
    def describe(self):
        return Description(
            vendor_code="ACME",
            name="acme",
            version="0.1.0",
            models=["HALO-1"],
            proof=polymeter.PROOF_COUNT,
            purse=polymeter.MONEY,
            parameters=[_parameter(name, *titles) for name, titles in WRITABLE.items()],
        )


def _parameter(name, title_en, title_zh):
    return Parameter(
        name=name,
        title_en=title_en,
        title_zh=title_zh,
        unit=polymeter.UNIT_CURRENCY,
        minimum=0,
        maximum=FEN_MOST,
        default=None,
        writable=True,
    )


@polymeter.exported
class Meter(exports.Meter):
    def probe(self, call):
        address = address_of(call)
        return Identity(address, question(address, "I"), [])

    def read(self, call):
        found = _reading(address_of(call))
        measurements = [
            polymeter.measured(ENERGY, found.energy_wh, polymeter.UNIT_WATT_HOUR),
            polymeter.measured(CREDIT, found.balance_fen, polymeter.UNIT_CURRENCY, FEN_SCALE),
        ]
        return Snapshot(measurements, _supply(found.relay), [])


@polymeter.exported
class Purse(exports.Purse):
    def open(self, call, opening):
        return purse.open_account(call, opening)

    def sell(self, call, order):
        return purse.sell(call, order)

    def clear(self, call):
        return purse.clear(call)

    def check(self, call, count):
        return purse.check(call, count)


@polymeter.exported
class Supply(exports.Supply):
    def control(self, call, command, valid_until):
        """The relay only: what this meter cannot do is said before a byte leaves."""
        if command not in (polymeter.DISCONNECT, polymeter.CONNECT):
            detail = f"this meter has no supply command {command}"
            raise polymeter.error(polymeter.UNSUPPORTED, detail)
        address = address_of(call)
        wanted = 1 if command == polymeter.CONNECT else 0
        try:
            ask(address, "V", str(wanted))
        except No as no:
            return ControlOutcome_Refused(no.refusal())
        except Err:
            pass  # Whether the answer comes or not: the relay itself tells.
        try:
            relay = _reading(address).relay
        except Err as lost:
            return ControlOutcome_Unknown(f"no reading: {lost.value.detail}")
        if relay != wanted:
            return ControlOutcome_Unknown("the relay did not move")
        return ControlOutcome_Confirmed(_supply(relay))


@polymeter.exported
class Settings(exports.Settings):
    def set_parameters(self, call, parameters):
        """Each one is proved by its echo alone: this meter cannot be asked for a parameter."""
        address = address_of(call)
        # All of them are understood before the first is sent.
        writes = [_write(name, value) for name, value in parameters]
        for done, write in enumerate(writes):
            try:
                taken = ask(address, "P", write) == write
            except No as no:
                if done == 0:
                    return SetOutcome_Refused(no.refusal())
                taken = False
            except Err as lost:
                return SetOutcome_Unknown(f"{write}: {lost.value.detail}")
            if not taken:
                return SetOutcome_Unknown(f"{write} was not taken")
        return SetOutcome_Confirmed()


@polymeter.exported
class Frames(exports.Frames):
    def decode(self, frame):
        found = halo.decode(frame)
        if found is None:
            raise Err("not a whole HALO frame")
        extras = [polymeter.text("command", found.letter), polymeter.text("data", found.data)]
        return Explanation(found.address, [], extras)


@dataclass
class Reading:
    """What the meter answers to `R`."""

    energy_wh: int
    balance_fen: int
    relay: int


def _reading(address):
    found = halo.numbers(question(address, "R"), 10, 8, 1)
    if found is None or found[2] > 1:
        raise polymeter.error(polymeter.GARBLED, "a reading of a wrong shape")
    return Reading(*found)


def _supply(relay):
    return polymeter.CONNECTED if relay == 1 else polymeter.DISCONNECTED


def _write(name, value):
    """The data of a `P`."""
    if name not in WRITABLE:
        raise polymeter.error(polymeter.BAD_PARAMETER, f"this meter has no parameter `{name}`")
    match value:
        case Value_Number(Decimal(fen, 0)) if 0 <= fen <= FEN_MOST:
            return f"{name}={fen}"
    raise polymeter.error(polymeter.BAD_PARAMETER, f"`{name}` is 0 to {FEN_MOST} fen")
