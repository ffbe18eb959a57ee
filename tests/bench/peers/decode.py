"""Decodes frames with a package of PyPI, for tests/bench/src/codec/peers.rs.

Arguments: meterbus or dlt645, and how many frames. Standard input has a frame in hexadecimal on each
line. With a count of 0 a 1 or 0 is printed for each frame, whether it is taken; else the seconds that
decoding so many frames in turn took, down to their values.
"""

import os
import sys
import time

os.environ["LOGURU_LEVEL"] = "CRITICAL"


def of_meterbus():
    import meterbus

    def decode(frame):
        return [record.value for record in meterbus.load(frame).records]

    return decode


def of_dlt645():
    from loguru import logger

    logger.remove()

    from dlt645.common.transform import bcd_to_float
    from dlt645.protocol.protocol import DLT645Protocol

    logger.remove()

    def decode(frame):
        data = bytes(DLT645Protocol.deserialize(frame).data)[4:]
        return [
            bcd_to_float(data[at : at + 4], "XXXXXX.XX", "little")
            for at in range(0, len(data) - 3, 4)
        ]

    return decode


decode = {"meterbus": of_meterbus, "dlt645": of_dlt645}[sys.argv[1]]()
count = int(sys.argv[2])
frames = [bytes.fromhex(line.strip()) for line in sys.stdin if line.strip()]


def taken(frame):
    try:
        decode(frame)
        return "1"
    except Exception:
        return "0"


if count == 0:
    print("".join(taken(frame) for frame in frames))
else:
    begun = time.perf_counter()
    for nth in range(count):
        decode(frames[nth % len(frames)])
    print(time.perf_counter() - begun)
