"""A Modbus RTU device over TCP, by pymodbus: a map of registers from standard input as JSON, its port on
standard output."""

import asyncio
import json
import sys

from pymodbus import FramerType
from pymodbus.datastore import (
    ModbusDeviceContext,
    ModbusSequentialDataBlock,
    ModbusServerContext,
    ModbusSparseDataBlock,
)
from pymodbus.server import ModbusTcpServer


def block(registers):
    return ModbusSparseDataBlock({int(at): value for at, value in registers.items()})


async def main():
    plan = json.loads(sys.stdin.readline())
    device = ModbusDeviceContext(
        hr=block(plan["holding"]), ir=block(plan["input"]), co=ModbusSequentialDataBlock(1, [0])
    )
    context = ModbusServerContext(devices={plan["unit"]: device}, single=False)
    server = ModbusTcpServer(context, framer=FramerType.RTU, address=("127.0.0.1", 0))
    task = asyncio.create_task(server.serve_forever())
    while server.transport is None:
        await asyncio.sleep(0.01)
    print(server.transport.sockets[0].getsockname()[1], flush=True)
    await task


asyncio.run(main())
