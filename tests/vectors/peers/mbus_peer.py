"""What PyPI's pyMeterBus makes of M-Bus telegrams: asked by tests/peer_mbus.rs, one JSON line each.

Standard input has a telegram in hexadecimal on each line.
"""

import json
import sys

import meterbus


def telegram(line):
    try:
        found = json.loads(meterbus.load(bytes.fromhex(line)).to_JSON())
        return found["body"]["records"]
    except Exception as why:
        return str(why) or type(why).__name__


for line in sys.stdin:
    print(json.dumps({"records": telegram(line.strip())}))
