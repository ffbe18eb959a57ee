"""Polls with pymodbus: ip port links reads-per-link start quantity; prints the seconds of the reads.

One asyncio task a link, Modbus RTU frames over TCP, as the product's driver sends them.
"""

import asyncio
import sys
import time

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient


async def main() -> None:
    host, port, links, reads, start, quantity = sys.argv[1], *map(int, sys.argv[2:])
    clients = [AsyncModbusTcpClient(host, port=port, framer=FramerType.RTU) for _ in range(links)]
    for client in clients:
        if not await client.connect():
            sys.exit("a link did not connect")

    async def poll(client: AsyncModbusTcpClient) -> None:
        for _ in range(reads):
            answer = await client.read_holding_registers(start, count=quantity, device_id=1)
            if answer.isError() or len(answer.registers) != quantity:
                sys.exit(f"{answer}")

    begun = time.perf_counter()
    await asyncio.gather(*map(poll, clients))
    print(f"{time.perf_counter() - begun:.9f}")
    for client in clients:
        client.close()


asyncio.run(main())
