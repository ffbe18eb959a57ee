"""Gurux' DLMS client against the simulated meter: one JSON plan on standard input, what it saw as
one JSON object on standard output. Nothing of Polymeter's is imported."""

import datetime
import json
import socket
import sys

from gurux_dlms import GXByteBuffer, GXDateTime, GXReplyData, GXTime
from gurux_dlms.enums import (
    Authentication, DateTimeSkips, DataType, InterfaceType, Security,
)
from gurux_dlms.objects import (
    GXDLMSAccount, GXDLMSActivityCalendar, GXDLMSClock, GXDLMSCredit, GXDLMSCharge, GXDLMSData,
    GXDLMSDayProfile, GXDLMSDayProfileAction, GXDLMSDisconnectControl, GXDLMSLimiter,
    GXDLMSProfileGeneric, GXDLMSRegister, GXDLMSSeasonProfile, GXDLMSTokenGateway,
    GXDLMSWeekProfile,
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


    def write(self, item, attribute):
        self.ask(self.client.write(item, attribute))

    def rows(self, profile, question):
        self.client.updateValue(profile, 2, self.ask(question).value)
        return [[told(cell) for cell in row] for row in profile.buffer]


def told(cell):
    """A cell of a profile: a time to the second, or what it is."""
    return cell.value.strftime("%Y-%m-%dT%H:%M:%S") if isinstance(cell, GXDateTime) else cell


def tried(act):
    try:
        return act()
    except Exception as error:  # What it says is the result.
        return "%s: %s" % (type(error).__name__, error)


def past(meter, plan):
    """Profiles by range and by place, and an event log."""
    seen_ = {}
    load = GXDLMSProfileGeneric("1.0.99.1.0.255")

    def described():
        for attribute in (3, 4, 5, 7, 8):
            meter.read(load, attribute)
        for item, of in load.captureObjects:
            if isinstance(item, GXDLMSRegister):
                meter.read(item, 3)
        return [
            ["%d %s %d" % (int(item.objectType), item.logicalName, of.attributeIndex)
             for item, of in load.captureObjects],
            load.capturePeriod, int(load.sortMethod), load.entriesInUse, load.profileEntries,
        ]

    seen_["load"] = tried(described)
    since, until = [datetime.datetime.fromisoformat(plan[name]) for name in ("since", "until")]
    seen_["by_range"] = tried(
        lambda: meter.rows(load, meter.client.readRowsByRange(load, since, until)))
    seen_["by_place"] = tried(lambda: meter.rows(load, meter.client.readRowsByEntry(load, 2, 3)))
    log = GXDLMSProfileGeneric("0.0.99.98.1.255")

    def events():
        meter.read(log, 3)
        return meter.rows(log, meter.client.readRowsByEntry(log, 1, 0))

    seen_["events"] = tried(events)
    return seen_


def settings(meter):
    """The clock, the limiter and the prices, written and read back."""
    seen_ = {}
    clock = GXDLMSClock("0.0.1.0.0.255")

    def clock_set():
        clock.time = GXDateTime(datetime.datetime(2027, 3, 7, 23, 59, 58))
        meter.write(clock, 2)
        return meter.read(clock, 2).value.strftime("%Y-%m-%dT%H:%M:%S")

    seen_["clock_set"] = tried(clock_set)

    def limited():
        limiter = GXDLMSLimiter("0.0.17.0.0.255")
        limiter.setDataType(4, DataType.UINT32)
        limiter.thresholdNormal, limiter.minOverThresholdDuration = 3300, 90
        meter.write(limiter, 4)
        meter.write(limiter, 6)
        meter.read(limiter, 2)
        watched = limiter.monitoredValue.logicalName
        return [meter.read(limiter, 4), meter.read(limiter, 6), watched]

    seen_["limited"] = tried(limited)

    def priced():
        charge = GXDLMSCharge("0.0.19.20.0.255")
        energy = GXDLMSRegister("1.0.1.8.0.255")
        meter.client.objects.append(energy)
        meter.read(charge, 5)
        next_ = charge.unitChargePassive
        next_.chargePerUnitScaling = charge.unitChargeActive.chargePerUnitScaling
        next_.chargeTables = charge.unitChargeActive.chargeTables
        next_.commodity.target, next_.commodity.index = energy, 2
        for place, table in enumerate(next_.chargeTables):
            table.chargePerUnit = 60 + place
        meter.write(charge, 6)
        meter.read(charge, 6)
        return [table.chargePerUnit for table in charge.unitChargePassive.chargeTables]

    seen_["priced"] = tried(priced)

    def calendared():
        calendar = GXDLMSActivityCalendar("0.0.13.0.0.255")
        change = GXDLMSDayProfileAction()
        change.startTime, change.scriptLogicalName = GXTime("06:30:00"), "0.0.10.0.100.255"
        change.scriptSelector = 2
        calendar.dayProfileTablePassive = [GXDLMSDayProfile(1, [change])]
        week = GXDLMSWeekProfile()
        week.name, week.saturday, week.sunday = b"A", 2, 2
        week.monday = week.tuesday = week.wednesday = week.thursday = week.friday = 1
        calendar.weekProfileTablePassive = [week]
        season = GXDLMSSeasonProfile()
        season.name, season.weekName = b"S", b"A"
        season.start = GXDateTime(datetime.datetime(2000, 4, 1))
        season.start.skip |= DateTimeSkips.YEAR | DateTimeSkips.DAY_OF_WEEK
        calendar.seasonProfilePassive = [season]
        for attribute in (9, 8, 7):
            meter.write(calendar, attribute)
        calendar.dayProfileTablePassive = calendar.weekProfileTablePassive = None
        calendar.seasonProfilePassive = None
        for attribute in (9, 8, 7):
            meter.read(calendar, attribute)
        season, week = calendar.seasonProfilePassive[0], calendar.weekProfileTablePassive[0]
        day = calendar.dayProfileTablePassive[0]
        text = lambda name: name if isinstance(name, str) else bytes(name).decode()
        begins = day.daySchedules[0].startTime.value.strftime("%H:%M")
        return [
            [text(season.name), text(season.weekName)],
            [text(week.name), week.monday, week.sunday],
            [day.dayId, begins, day.daySchedules[0].scriptSelector],
        ]

    seen_["calendar"] = tried(calendared)
    return seen_


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
    told.update(past(meter, plan))
    told.update(settings(meter))
    told["absent"] = tried(lambda: meter.read(GXDLMSRegister("1.0.99.99.0.255"), 2))
    told["release"] = tried(lambda: bool(meter.ask(meter.client.releaseRequest())))
    told["end"] = tried(lambda: bool(meter.ask(meter.client.disconnectRequest())))
    return told


if __name__ == "__main__":
    print(json.dumps(seen(json.load(sys.stdin)), default=str))
