#!/usr/bin/python3
"""Checks with stomp.py. Prints `ok NAME` or `fail NAME: WHY`, and `@end`."""

import json
import sys
import threading
import time

import stomp

FACTS = json.loads(sys.argv[1])
LIMIT = 20.0
open_connections = []


class Heard(stomp.ConnectionListener):
    """Keeps what comes."""

    def __init__(self):
        self.frames = []
        self.changed = threading.Condition()

    def keep(self, kind, frame):
        with self.changed:
            self.frames.append((kind, frame.headers, frame.body))
            self.changed.notify_all()

    def on_message(self, frame):
        self.keep("MESSAGE", frame)

    def on_receipt(self, frame):
        self.keep("RECEIPT", frame)

    def on_error(self, frame):
        self.keep("ERROR", frame)

    def of(self, kind):
        return [each for each in self.frames if each[0] == kind]

    def wait(self, kind, count):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.of(kind)) >= count, LIMIT):
                raise AssertionError("%d %s, not %d: %r" % (len(self.of(kind)), kind, count, self.frames))
        return self.of(kind)


CLASSES = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}


def connect(version="1.2", tls=False, heartbeats=(0, 0), passcode=None):
    address = (FACTS["host"], FACTS["tlsPort"] if tls else FACTS["port"])
    more = {} if version == "1.0" else {"heartbeats": heartbeats}
    connection = CLASSES[version]([address], reconnect_attempts_max=1, **more)
    if tls:
        connection.set_ssl([address], ca_certs=FACTS["caFile"])
    heard = Heard()
    connection.set_listener("heard", heard)
    connection.connect(FACTS["username"], passcode or FACTS["password"], wait=True)
    open_connections.append(connection)
    return connection, heard


def round_trip(version):
    def check(name):
        connection, heard = connect(version)
        connection.subscribe("/topic/" + name, id="1", ack="auto", headers={"receipt": "s"})
        heard.wait("RECEIPT", 1)
        connection.send("/topic/" + name, "hello", content_type="text/plain", headers={"receipt": "p", "colour": "red"})
        heard.wait("RECEIPT", 2)
        (_, headers, body), = heard.wait("MESSAGE", 1)
        assert (body, headers["colour"], headers["content-type"]) == ("hello", "red", "text/plain"), headers
        connection.disconnect(receipt="bye")
        heard.wait("RECEIPT", 3)

    return check


def over_tls(name):
    connection, heard = connect(tls=True)
    connection.subscribe("/queue/" + name, id="1")
    connection.send("/queue/" + name, "secret")
    assert heard.wait("MESSAGE", 1)[0][2] == "secret"


def transactions(name):
    connection, heard = connect()
    connection.subscribe("/queue/" + name, id="1")
    gone = connection.begin()
    connection.send("/queue/" + name, "gone", transaction=gone)
    connection.abort(gone)
    kept = connection.begin()
    connection.send("/queue/" + name, "1", transaction=kept)
    connection.send("/queue/" + name, "2", transaction=kept)
    connection.commit(kept, headers={"receipt": "c"})
    heard.wait("RECEIPT", 1)
    assert [body for _, _, body in heard.wait("MESSAGE", 2)] == ["1", "2"]


def acknowledging(version):
    def check(name):
        connection, heard = connect(version)
        for body in ("1", "2", "3"):
            connection.send("/queue/" + name, body)
        connection.subscribe("/queue/" + name, id="1", ack="client")
        headers = heard.wait("MESSAGE", 3)[1][1]
        if version == "1.2":
            connection.ack(headers["ack"], receipt="a")
        elif version == "1.1":
            connection.ack(headers["message-id"], "1", receipt="a")
        else:
            connection.ack(headers["message-id"], receipt="a")
        heard.wait("RECEIPT", 1)
        connection.disconnect(receipt="bye")
        heard.wait("RECEIPT", 2)
        again, more = connect(version)
        again.subscribe("/queue/" + name, id="1")
        more.wait("MESSAGE", 1)
        time.sleep(0.1)
        assert [body for _, _, body in more.of("MESSAGE")] == ["3"], more.frames

    return check


def refused(name):
    connection, heard = connect("1.1")
    connection.send("/queue/" + name, "again")
    connection.subscribe("/queue/" + name, id="1", ack="client-individual")
    first = heard.wait("MESSAGE", 1)[0][1]
    connection.nack(first["message-id"], "1")
    second = heard.wait("MESSAGE", 2)[1][1]
    assert second["redelivered"] == "true", second


def heart_beats(name):
    connection, heard = connect(heartbeats=(200, 200))
    time.sleep(1.5)
    assert connection.is_connected()
    connection.subscribe("/topic/" + name, id="1")
    connection.send("/topic/" + name, "still there")
    heard.wait("MESSAGE", 1)


def wrong_passcode(_name):
    try:
        connect(passcode="wrong")
    except stomp.exception.ConnectFailedException:
        return
    raise AssertionError("it was let in")


CHECKS = [
    ("1.0 there and back", round_trip("1.0")),
    ("1.1 there and back", round_trip("1.1")),
    ("1.2 there and back", round_trip("1.2")),
    ("TLS", over_tls),
    ("transactions", transactions),
    ("1.0 acknowledging", acknowledging("1.0")),
    ("1.1 acknowledging", acknowledging("1.1")),
    ("1.2 acknowledging", acknowledging("1.2")),
    ("NACK brings it again", refused),
    ("heart-beats", heart_beats),
    ("a wrong passcode is refused", wrong_passcode),
]

for index, (title, run) in enumerate(CHECKS):
    try:
        run("%sx%d" % (FACTS["unique"], index))
        print("ok " + title)
    except Exception as why:  # whatever a check throws is its failure
        print("fail %s: %s %s" % (title, type(why).__name__, str(why).replace("\n", " ")))
    for each in open_connections:
        try:
            each.disconnect()
        except Exception:  # it has gone already
            pass
    open_connections.clear()
print("@end")
