"""What PyPI's dlt645 makes of frames and values: asked by tests/peer_dlt645.rs, one JSON line each.

Standard input has a frame in hexadecimal on each line; then every number of its own tables is
encoded by it, once as it is and once below zero where its table allows that.
"""

import json
import os
import sys

os.environ["LOGURU_LEVEL"] = "CRITICAL"

from loguru import logger

logger.remove()

from dlt645.common.transform import bcd_to_float, float_to_bcd
from dlt645.config.parameter_types import PARAMETER_TYPES
from dlt645.config.variable_types import VARIABLE_TYPES
from dlt645.protocol.protocol import DLT645Protocol

logger.remove()


def frame(line):
    try:
        found = DLT645Protocol.deserialize(bytes.fromhex(line))
    except ValueError:
        return None
    return {
        "address": bytes(found.addr)[::-1].hex().upper(),
        "control": found.ctrl_code,
        "data": bytes(found.data).hex(),
    }


def values():
    seen = set()
    for number, row in enumerate((*VARIABLE_TYPES, *PARAMETER_TYPES)):
        di, shape = row["Di"], row["DataFormat"]
        if di in seen or set(shape) - set("XN."):
            continue
        seen.add(di)
        digits = shape.replace(".", "")
        places = len(shape.split(".")[1]) if "." in shape else 0
        if len(digits) > 8 or len(digits) % 2:
            continue
        # Below the sign's bit, different for each item.
        mantissa = (number * 7919 + 12345) % (8 * 10 ** (len(digits) - 1))
        for sign in (1, -1) if (row["Min"] or 0) < 0 and places else (1,):
            value = sign * mantissa / 10**places
            encoded = bytes(float_to_bcd(value, shape, "little"))
            back = bcd_to_float(encoded, shape, "little") if places else value
            yield {
                "di": di,
                "unit": row["Unit"].strip(),
                "mantissa": sign * mantissa,
                "scale": -places,
                "bytes": encoded.hex(),
                "frame": DLT645Protocol.build_frame(
                    bytes(6), 0x91, bytes.fromhex(di)[::-1] + encoded
                ).hex(),
                "back": round(back * 10**places),
            }


for line in sys.stdin:
    print(json.dumps({"frame": frame(line.strip())}))
for value in values():
    print(json.dumps({"value": value}))
