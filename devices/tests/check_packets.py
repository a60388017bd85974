"""Compares packets with those of the makers' own programs.

    python3 -m venv venv && venv/bin/pip install feetech-servo-sdk==1.0.0 dynamixel-sdk==4.1.0
    cargo run --release -p armillary-devices --example packets | venv/bin/python devices/tests/check_packets.py
"""

import sys

import dynamixel_sdk
import scservo_sdk


class Port:
    """A port that keeps what is written and never answers."""

    is_using = False

    def __init__(self):
        self.written = b""

    def clearPort(self):
        pass

    def writePort(self, packet):
        self.written = bytes(packet)
        return len(packet)

    def readPort(self, length):
        return []

    def setPacketTimeout(self, length):
        pass

    def setPacketTimeoutMillis(self, milliseconds):
        pass

    def isPacketTimeout(self):
        return True


def keep_stuffing(handler):
    """Makes Dynamixel's program send the bytes that it stuffs.

    `addStuffing` of version 4.1.0 returns a new list if it adds something, and `txPacket` goes on with the old one: a header within the
    data is sent as it is. What `addStuffing` returns is compared with, as in the maker's programs in C.
    """
    stuff = handler.addStuffing

    def add_stuffing(packet):
        packet[:] = stuff(packet)
        return packet

    handler.addStuffing = add_stuffing


def packet_of(sdk, handler, kind, servo, address, length, ids, data):
    """The packet that a maker's program sends for one request."""
    port = Port()
    if kind == "ping":
        handler.ping(port, servo)
    elif kind == "read":
        handler.readTx(port, servo, address, length)
    elif kind == "write":
        handler.writeTxOnly(port, servo, address, len(data), list(data))
    elif kind == "sync_read":
        group = sdk.GroupSyncRead(port, handler, address, length)
        for each in ids:
            assert group.addParam(each)
        group.txPacket()
    elif kind == "sync_write":
        group = sdk.GroupSyncWrite(port, handler, address, length)
        for index, each in enumerate(ids):
            assert group.addParam(each, list(data[index * length : (index + 1) * length]))
        group.txPacket()
    return port.written


def main():
    handlers = {
        "feetech": (scservo_sdk, scservo_sdk.PacketHandler(0)),
        "dynamixel": (dynamixel_sdk, dynamixel_sdk.PacketHandler(2.0)),
    }
    keep_stuffing(handlers["dynamixel"][1])
    equal = dict.fromkeys(handlers, 0)
    for line in sys.stdin:
        protocol, kind, servo, address, length, ids, data, packet = line.split()
        ids, data, packet = (b"" if field == "-" else bytes.fromhex(field) for field in (ids, data, packet))
        sdk, handler = handlers[protocol]
        theirs = packet_of(sdk, handler, kind, int(servo), int(address), int(length), ids, data)
        if theirs != packet:
            sys.exit(f"{line}theirs: {theirs.hex()}")
        equal[protocol] += 1
    print(", ".join(f"{protocol}: {count} packets equal" for protocol, count in equal.items()))
    if not all(equal.values()):
        sys.exit("nothing was compared")


if __name__ == "__main__":
    main()
