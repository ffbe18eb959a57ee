"""Gurux' DLMS client against the simulated meter: one JSON plan on standard input, what it saw as
one JSON object on standard output. Nothing of Polymeter's is imported."""

import json
import socket
import sys

from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.enums import Authentication, DataType, InterfaceType, Security
from gurux_dlms.objects import (
    GXDLMSAccount, GXDLMSClock, GXDLMSCredit, GXDLMSCharge, GXDLMSData, GXDLMSDisconnectControl,
    GXDLMSRegister, GXDLMSTokenGateway,
)
from gurux_dlms.secure import GXDLMSSecureClient

LEVELS = {"none": Authentication.NONE, "low": Authentication.LOW, "gmac": Authentication.HIGH_GMAC}


class Meter:
    def __init__(self, plan):
        hdlc = plan["connection"] == "hdlc"
        server = 1
        if hdlc:
            server = GXDLMSSecureClient.getServerAddress(1, plan["physical"])
        self.client = GXDLMSSecureClient(
            True, plan["client"], server, LEVELS[plan["security"]], plan.get("password"),
            InterfaceType.HDLC if hdlc else InterfaceType.WRAPPER,
        )
        if plan["security"] == "gmac":
            ciphering = self.client.ciphering
            ciphering.security = Security.AUTHENTICATION_ENCRYPTION
            ciphering.systemTitle = bytes.fromhex(plan["title"])
            ciphering.blockCipherKey = bytes.fromhex(plan["encryption_key"])
            ciphering.authenticationKey = bytes.fromhex(plan["authentication_key"])
            ciphering.invocationCounter = plan["counter"]
        self.socket = socket.create_connection(("127.0.0.1", plan["port"]), timeout=10)

    def exchange(self, question, reply):
        if not question:
            return
        self.socket.sendall(bytes(question))
        heard, notify = GXByteBuffer(), GXReplyData()
        while not self.client.getData(heard, reply, notify):
            bytes_ = self.socket.recv(4096)
            if not bytes_:
                raise ConnectionError("the meter hung up")
            heard.set(bytes_)
        if reply.error:
            raise ValueError("refused %d" % reply.error)

    def ask(self, questions):
        reply = GXReplyData()
        questions = questions if isinstance(questions, list) else [questions]
        for question in questions:
            reply.clear()
            self.exchange(question, reply)
            while reply.isMoreData():
                more = None if reply.isStreaming() else self.client.receiverReady(reply)
                self.exchange(more, reply)
        return reply

    def open(self):
        question = self.client.snrmRequest()
        if question:
            self.client.parseUAResponse(self.ask(question).data)
        self.client.parseAareResponse(self.ask(self.client.aarqRequest()).data)
        if self.client.authentication > Authentication.LOW:
            answer = self.ask(self.client.getApplicationAssociationRequest())
            self.client.parseApplicationAssociationResponse(answer.data)

    def read(self, item, attribute):
        answer = self.ask(self.client.read(item, attribute))
        return self.client.updateValue(item, attribute, answer.value)


def tried(act):
    try:
        return act()
    except Exception as error:  # What it says is the result.
        return "%s: %s" % (type(error).__name__, error)


def seen(plan):
    meter = Meter(plan)
    meter.open()
    told = {}
    objects = tried(lambda: meter.client.parseObjects(
        meter.ask(meter.client.getObjectsRequest()).data, True))
    told["objects"] = objects if isinstance(objects, str) else sorted(
        "%d %s" % (int(item.objectType), item.logicalName) for item in objects)
    told["name"] = tried(lambda: bytes(meter.read(GXDLMSData("0.0.42.0.0.255"), 2)).decode())
    energy = GXDLMSRegister("1.0.1.8.0.255")

    def registered():
        meter.read(energy, 3)
        return [meter.read(energy, 2), energy.scaler, int(energy.unit)]

    told["energy"] = tried(registered)
    several = [GXDLMSRegister("1.0.1.8.%d.255" % tariff) for tariff in range(5)]

    def listed():
        questions = meter.client.readList([(item, 2) for item in several])
        answer = meter.ask([frame for frames in questions for frame in frames])
        meter.client.updateValues([(item, 2) for item in several], answer.value)
        return [item.value for item in several]

    told["several"] = tried(listed)
    clock = GXDLMSClock("0.0.1.0.0.255")
    told["clock"] = tried(lambda: meter.read(clock, 2).value.strftime("%Y-%m-%dT%H:%M:%S"))
    account, credit = GXDLMSAccount("0.0.19.0.0.255"), GXDLMSCredit("0.0.19.10.0.255")

    def purse():
        meter.read(account, 15)
        price = GXDLMSCharge("0.0.19.20.0.255")
        meter.read(price, 5)
        return [
            meter.read(account, 5), account.currency.name, account.currency.scale,
            int(account.currency.unit), meter.read(credit, 2),
            price.unitChargeActive.chargeTables[0].chargePerUnit,
            price.unitChargeActive.chargePerUnitScaling.priceScale,
        ]

    told["purse"] = tried(purse)
    switch = GXDLMSDisconnectControl("0.0.96.3.10.255")

    def switched(act):
        meter.ask(act(meter.client))
        return [meter.read(switch, 2), int(meter.read(switch, 3)), int(meter.read(switch, 4))]

    told["open"] = tried(lambda: switched(switch.remoteDisconnect))
    told["close"] = tried(lambda: switched(switch.remoteReconnect))

    def added():
        meter.ask(meter.client.method(credit, 1, 250, DataType.INT32))
        return meter.read(credit, 2)

    told["added"] = tried(added)

    def token():
        gateway = GXDLMSTokenGateway("0.0.19.40.0.255")
        meter.ask(meter.client.method(gateway, 1, b"1" * 20, DataType.OCTET_STRING))
        meter.read(gateway, 6)
        return int(gateway.statusCode)

    told["token"] = tried(token)
    told["absent"] = tried(lambda: meter.read(GXDLMSRegister("1.0.99.99.0.255"), 2))
    told["release"] = tried(lambda: bool(meter.ask(meter.client.releaseRequest())))
    told["end"] = tried(lambda: bool(meter.ask(meter.client.disconnectRequest())))
    return told


if __name__ == "__main__":
    print(json.dumps(seen(json.load(sys.stdin)), default=str))
