"""Names for the codes of the contract and small helpers for drivers in Python.

Shapes, units and the meaning of every code: the contract, wit/1.0.0 (docs/contract.md).
There is no clock, file, socket, environment or randomness here: `time`, `open` and `random` trap or
answer what stood at build time. Time and a nonce come with every call, randomness from the vault.
"""

import functools

from componentize_py_types import Err
from wit_world.imports.types import (
    Decimal,
    DriverError,
    Measurement,
    Refusal,
    Value_Number,
    Value_Text,
)

try:
    from wit_world.imports import log
except ImportError:  # driver.toml does not ask for the log
    log = None

# driver-error.code
NO_REPLY = 1
GARBLED = 2
OTHER_DEVICE = 3
NO_SUCH_DATA = 4
DEVICE_SAYS_NO = 5
BAD_PARAMETER = 6
VAULT = 7
LINE = 8
UNSUPPORTED = 9

# line-error.code
LINE_SILENT = 1
LINE_DOWN = 2
LINE_LIMIT = 3
LINE_NOT_GRANTED = 4

# refusal.code
REFUSED_OTHER = 1
REFUSED_ALREADY_TAKEN = 2
REFUSED_WRONG_MAC = 3
REFUSED_NOT_AUTHENTICATED = 4
REFUSED_WRONG_CUSTOMER = 5
REFUSED_WRONG_COUNT = 6
REFUSED_OVER_LIMIT = 7
REFUSED_SUSPENDED = 8
REFUSED_WRONG_ADDRESS = 9
REFUSED_WRONG_PASSWORD = 10
REFUSED_SUPPLY_PROTECTED = 11
REFUSED_OUT_OF_TIME = 12
REFUSED_NO_SUCH_FUNCTION = 13
REFUSED_BAD_VALUE = 14

# measurement.unit and measurement.quality
UNIT_CURRENCY = 10
UNIT_WATT_HOUR = 30
UNIT_NONE = 255
MEASURED = 0
NOT_MEASURED = 1
INVALID = 2
ESTIMATED = 3

# credit.quantity and, with 0 for none, description.purse; description.proof
MONEY = 1
ENERGY = 2
VOLUME = 3
PROOF_NONE = 0
PROOF_COUNT = 1
PROOF_REGISTER = 2
PROOF_LIST = 3

# snapshot.supply and control's command
SUPPLY_UNKNOWN = 0
DISCONNECTED = 1
CONNECTED = 2
READY = 3
DISCONNECT = 1
CONNECT = 2
ALLOW_CONNECTION = 3

# vault.mac's algorithm
MAC_PBOC = 1
MAC_HMAC_SHA_256 = 2


def error(code, detail, device_code=None):
    """What a verb raises that could not do its work: `raise error(GARBLED, "...")`."""
    return Err(DriverError(code, detail, device_code))


def refusal(code, detail, device_code=None):
    """The device's no. `device_code` is its own error as it stood on the wire."""
    return Refusal(code, detail, device_code)


def measured(register, mantissa, unit, scale=0):
    """One register whose value is mantissa x 10^scale."""
    return Measurement(register, Value_Number(Decimal(mantissa, scale)), unit, MEASURED)


def text(name, value):
    """One entry of the extras."""
    return (name, Value_Text(value))


def exported(driver_class):
    """Writes an exception that nobody caught into the operator's log before it becomes a trap,
    which by itself says nothing."""
    for name, function in list(vars(driver_class).items()):
        if callable(function) and not name.startswith("_"):
            setattr(driver_class, name, _told(function))
    return driver_class


def _told(function):
    @functools.wraps(function)
    def call(*arguments):
        try:
            return function(*arguments)
        except Err:
            raise
        except BaseException as problem:
            if log is not None:
                log.write(log.Level.ERROR, f"{type(problem).__name__}: {problem}, {_place(problem)}")
            raise

    return call


def _place(problem):
    """Where it was raised. The module `traceback` would open the source, and there is no file."""
    step = problem.__traceback__
    while step.tb_next is not None:
        step = step.tb_next
    code = step.tb_frame.f_code
    return f"{code.co_filename.rpartition('/')[2]}:{step.tb_lineno} in {code.co_name}"
