#!/usr/bin/python3
"""Checks with paho for Python. Prints `ok NAME` or `fail NAME: WHY`; asks the runner to crash the broker by `@crash`.

The runner answers on standard input with `done` once the broker is up again.
"""

import json
import os
import ssl
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

FACTS = json.loads(sys.argv[1])
LIMIT = 20.0


class Client:
    """A paho client whose messages can be waited for."""

    def __init__(self, name, version=mqtt.MQTTv311, clean=True, expiry=0, tls=False, keepalive=60, will=None, port=None):
        five = version == mqtt.MQTTv5
        options = {} if five else {"clean_session": clean}
        self.client = mqtt.Client(client_id=name, protocol=version, **options)
        self.condition = threading.Condition()
        self.messages = []
        self.events = []
        self.client.on_message = lambda _c, _u, message: self._add(self.messages, message)
        self.client.on_connect = lambda _c, _u, flags, rc, *_: self._add(self.events, ("connect", int(getattr(rc, "value", rc)), flags))
        self.client.on_disconnect = lambda _c, _u, rc, *_: self._add(self.events, ("disconnect", rc))
        self.client.on_subscribe = lambda _c, _u, mid, *_: self._add(self.events, ("subscribe", mid))
        self.client.on_publish = lambda _c, _u, mid: self._add(self.events, ("publish", mid))
        self.client.reconnect_delay_set(min_delay=1, max_delay=1)
        if FACTS.get("username"):
            self.client.username_pw_set(FACTS["username"], FACTS["password"])
        if tls:
            self.client.tls_set(FACTS["caFile"], tls_version=ssl.PROTOCOL_TLS_CLIENT)
        if will:
            topic, payload, delay = will
            properties = None
            if five:
                properties = Properties(PacketTypes.WILLMESSAGE)
                properties.WillDelayInterval = delay
            self.client.will_set(topic, payload, 1, False, properties)
        connect = {}
        if five:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = expiry
            connect = {"clean_start": clean, "properties": properties}
        self.client.connect(FACTS["host"], FACTS["tlsPort"] if tls else FACTS["port"], keepalive, **connect)
        self.client.loop_start()
        self.wait(lambda: any(e[0] == "connect" for e in self.events), "CONNACK")
        code = self.events[0][1]
        if code != 0:
            raise AssertionError("refused with %d" % code)

    def _add(self, where, what):
        with self.condition:
            where.append(what)
            self.condition.notify_all()

    def wait(self, condition, what):
        with self.condition:
            if not self.condition.wait_for(condition, LIMIT):
                raise AssertionError("no %s within %.0f s" % (what, LIMIT))

    def subscribe(self, topic, qos):
        _, mid = self.client.subscribe(topic, qos)
        self.wait(lambda: ("subscribe", mid) in self.events, "SUBACK")

    def publish(self, topic, payload, qos=0, retain=False):
        info = self.client.publish(topic, payload, qos, retain)
        if qos > 0:
            self.wait(lambda: ("publish", info.mid) in self.events, "acknowledgement")

    def expect(self, count):
        self.wait(lambda: len(self.messages) >= count, "%d messages (got %d)" % (count, len(self.messages)))
        return [m.payload.decode("latin-1") for m in self.messages]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        """The network fails: no DISCONNECT."""
        self.client.loop_stop()
        self.client._sock_close()


def qos2_flows(unique):
    for version in (mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5):
        sub = Client(unique + "s", version)
        pub = Client(unique + "p", version)
        sub.subscribe(unique, 2)
        for n in range(500):
            pub.client.publish(unique, str(n), 2)
        pub.wait(lambda: sum(e[0] == "publish" for e in pub.events) == 500, "500 PUBCOMPs")
        got = sub.expect(500)
        assert got == [str(n) for n in range(500)], "lost, doubled or out of order with version %d" % version
        sub.close()
        pub.close()


def large_payloads(unique):
    sub = Client(unique + "s")
    pub = Client(unique + "p")
    sub.subscribe(unique, 2)
    payloads = [os.urandom(size) for size in (1, 127, 128, 16383, 16384, 70000, 2097151, 4000000)]
    for qos in (0, 1, 2):
        for payload in payloads:
            pub.publish(unique, payload, qos)
    sub.expect(3 * len(payloads))
    for index, message in enumerate(sub.messages):
        assert message.payload == payloads[index % len(payloads)], "payload %d changed" % index
    sub.close()
    pub.close()


def large_payloads_tls(unique):
    sub = Client(unique + "s", mqtt.MQTTv5, tls=True)
    pub = Client(unique + "p", mqtt.MQTTv5, tls=True)
    sub.subscribe(unique, 1)
    payload = os.urandom(3000000)
    pub.publish(unique, payload, 1)
    sub.expect(1)
    assert sub.messages[0].payload == payload, "payload changed"
    sub.close()
    pub.close()


def keep_alive(unique):
    watcher = Client(unique + "w")
    watcher.subscribe(unique + "/will", 1)
    quiet = Client(unique + "q", keepalive=1)
    deaf = Client(unique + "d", keepalive=1, will=(unique + "/will", "silent", 0))
    start = time.monotonic()
    deaf.client.loop_stop()  # sends nothing any more, and keeps the connection open
    watcher.expect(1)
    took = time.monotonic() - start
    assert 0.4 < took < 5, "closed after %.1f s" % took
    assert not any(e[0] == "disconnect" for e in quiet.events), "a client that pings was cut off"
    deaf.vanish()
    quiet.close()
    watcher.close()


def will_delay(unique):
    watcher = Client(unique + "w", mqtt.MQTTv5)
    watcher.subscribe(unique + "/will", 1)
    doomed = Client(unique + "d", mqtt.MQTTv5, expiry=60, will=(unique + "/will", "delayed", 1))
    start = time.monotonic()
    doomed.vanish()
    watcher.expect(1)
    took = time.monotonic() - start
    assert took >= 0.9, "the will came after %.2f s instead of 1 s" % took
    ended = Client(unique + "e", mqtt.MQTTv5, expiry=0, will=(unique + "/will", "session over", 60))
    ended.vanish()
    assert watcher.expect(2)[1] == "session over"
    watcher.close()


def session_after_crash(unique):
    """What was acknowledged before SIGKILL is there afterwards: session, subscription, queue, retained, QoS 2 state."""
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        name = "%s-%d" % (unique, version)
        sub = Client(name + "s", version, clean=False, expiry=600)
        sub.subscribe(name + "/#", 2)
        sub.close()
        pub = Client(name + "p", version)
        for n in range(100):
            pub.publish(name + "/q", str(n), 1 + n % 2)
        pub.publish(name + "/kept", "kept", 1, True)
        crash()
        again = Client(name + "s", version, clean=False, expiry=600)
        flags = again.events[0][2]
        assert flags["session present"] == 1, "no session after the crash"
        got = again.expect(101)
        # paho hands a QoS 2 message over at its PUBREL, so the order holds only within each QoS.
        for qos in (1, 2):
            numbers = [m.payload.decode() for m in again.messages if m.qos == qos and m.topic.endswith("/q")]
            assert numbers == [str(n) for n in range(100) if 1 + n % 2 == qos], "queue after the crash: %s" % numbers
        assert "kept" in got and len(got) == 101, "queue after the crash: %d messages" % len(got)
        late = Client(name + "l", version)
        late.subscribe(name + "/kept", 1)
        assert late.expect(1) == ["kept"]
        # The publisher comes back by itself, and the QoS 2 exchange still works.
        pub.publish(name + "/q", "after", 2)
        again.expect(102)
        for client in (again, pub, late):
            client.close()


def crash():
    print("@crash", flush=True)
    if sys.stdin.readline().strip() != "done":
        raise AssertionError("the broker did not come back")


CHECKS = [
    ("QoS 2 flows in 3.1, 3.1.1 and 5", qos2_flows),
    ("payloads from 1 byte to 4 MB at each QoS", large_payloads),
    ("3 MB over TLS", large_payloads_tls),
    ("keep-alive cuts off who is silent, not who pings", keep_alive),
    ("will delay, and a session's end before it", will_delay),
    ("session, queue and retained messages after kill -9", session_after_crash),
]


def main():
    for number, (name, check) in enumerate(CHECKS):
        if FACTS["skip"].get(name):
            continue
        try:
            check("%s-%d" % (FACTS["unique"], number))
            print("ok " + name, flush=True)
        except Exception as error:  # one check must not stop the others
            print("fail %s: %s %s" % (name, type(error).__name__, error), flush=True)
    print("@end", flush=True)
    os._exit(0)  # clients of failed checks may still run


main()
