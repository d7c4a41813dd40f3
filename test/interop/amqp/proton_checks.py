#!/usr/bin/python3
"""Checks with Qpid Proton for Python. Prints `ok NAME`, `skip NAME: WHY` or `fail NAME: WHY`, and `@end`."""

import json
import sys
import time
import uuid

from proton import SASL, Data, Delivery, Message, SSLDomain, Terminus, ulong
from proton.handlers import MessagingHandler, TransactionHandler
from proton.reactor import AtLeastOnce, AtMostOnce, Container, Copy, LinkOption, ReceiverOption, Selector
from proton.utils import BlockingConnection, LinkDetached, SyncRequestResponse

FACTS = json.loads(sys.argv[1])
LIMIT = 20.0
PLAIN_URL = "amqp://%s:%d" % (FACTS["host"], FACTS["port"])


class Skip(Exception):
    """What is missing here."""


class Capabilities(LinkOption):
    """Says what the node is."""

    def __init__(self, *names):
        self.names = names

    def apply(self, link):
        terminus = link.target if link.is_sender else link.source
        terminus.capabilities.put_array(False, Data.SYMBOL)
        terminus.capabilities.enter()
        for name in self.names:
            terminus.capabilities.put_symbol(name)
        terminus.capabilities.exit()


TOPIC = Capabilities("topic")
QUEUE = Capabilities("queue")


class NeverExpires(ReceiverOption):
    """A terminus that outlives its link."""

    def apply(self, receiver):
        receiver.source.durability = Terminus.DELIVERIES
        receiver.source.expiry_policy = Terminus.EXPIRE_NEVER


class Second(LinkOption):
    """Unsettled, and the receiver settles second."""

    def apply(self, link):
        link.snd_settle_mode = 0
        link.rcv_settle_mode = 1


OPEN = []


def connect(container=None, **more):
    options = {"timeout": LIMIT, "container_id": container, "heartbeat": 30}
    if FACTS.get("username"):
        options.update(user=FACTS["username"], password=FACTS["password"], allowed_mechs="PLAIN", allow_insecure_mechs=True)
    else:
        options.update(allowed_mechs="ANONYMOUS")
    options.update(more)
    url = options.pop("url", PLAIN_URL)
    # The name of a container is given by a container of our own: BlockingConnection makes one otherwise.
    name = options.pop("container_id")
    own = Container()
    own.container_id = name or str(uuid.uuid4())
    connection = BlockingConnection(url, container=own, **options)
    OPEN.append(connection)
    return connection


def close_all():
    while OPEN:
        try:
            OPEN.pop().close()
        except Exception:  # what matters was checked before
            pass


def text(message):
    body = message.body
    return bytes(body).decode() if isinstance(body, (bytes, memoryview)) else str(body)


def texts(receiver, count):
    found = []
    for _ in range(count):
        found.append(text(receiver.receive(LIMIT)))
        receiver.accept()
    return found


def nothing(receiver):
    try:
        message = receiver.receive(0.3)
    except Exception:
        return
    raise AssertionError("got %s" % text(message))


def settle_modes(unique):
    for index, (send, receive) in enumerate([(a, b) for a in (AtMostOnce, AtLeastOnce) for b in (AtMostOnce, AtLeastOnce, Second)]):
        connection = connect()
        address = "%s/%d" % (unique, index)
        receiver = connection.create_receiver(address, credit=100, options=[TOPIC, receive()])
        sender = connection.create_sender(address, options=[TOPIC, send()])
        for n in range(50):
            delivery = sender.send(Message(body="m%d" % n))
            if send is AtLeastOnce:
                assert delivery.remote_state == Delivery.ACCEPTED, delivery.remote_state
        got = []
        for _ in range(50):
            got.append(text(receiver.receive(LIMIT)))
            if receive is not AtMostOnce:
                receiver.accept()
        assert got == ["m%d" % n for n in range(50)], "with %s and %s: %s" % (send.__name__, receive.__name__, got)


def outcomes(unique):
    connection = connect()
    sender = connection.create_sender(unique, options=[QUEUE])
    sender.send(Message(body="again", durable=True))
    for failed, count in ((None, 0), (False, 0), (True, 0), (True, 1), (None, 2)):
        receiver = connection.create_receiver(unique, credit=1, options=[QUEUE])
        message = receiver.receive(LIMIT)
        assert message.delivery_count == count, "delivery-count %d, not %d" % (message.delivery_count, count)
        if failed is None:
            receiver.release(delivered=False)
        else:
            delivery = receiver.fetcher.unsettled.popleft()
            delivery.local.failed = failed
            delivery.update(Delivery.MODIFIED)
            delivery.settle()
        receiver.close()
    receiver = connection.create_receiver(unique, credit=1, options=[QUEUE])
    receiver.receive(LIMIT)
    receiver.accept()
    nothing(receiver)


def dead_letters(unique):
    connection = connect()
    connection.create_sender(unique, options=[QUEUE]).send(Message(body=unique, durable=True))
    receiver = connection.create_receiver(unique, credit=1, options=[QUEUE])
    receiver.receive(LIMIT)
    receiver.reject()
    dead = connection.create_receiver(FACTS.get("deadLetters", "dead-letter"), credit=100, options=[QUEUE])
    until = time.time() + LIMIT
    while time.time() < until:
        if text(dead.receive(LIMIT)) == unique:
            dead.accept()
            return
        dead.release(delivered=False)
    raise AssertionError("not among the dead letters")


def durable_subscription(unique):
    publisher = connect()
    sender = publisher.create_sender(unique, options=[TOPIC])
    first = connect(unique)
    receiver = first.create_receiver(unique, credit=10, name=unique + "-sub", options=[TOPIC, NeverExpires()])
    sender.send(Message(body="1", durable=True))
    assert texts(receiver, 1) == ["1"]
    receiver.link.detach()
    first.close()
    OPEN.remove(first)
    sender.send(Message(body="2", durable=True))
    again = connect(unique)
    receiver = again.create_receiver(unique, credit=10, name=unique + "-sub", options=[TOPIC, NeverExpires()])
    sender.send(Message(body="3", durable=True))
    assert texts(receiver, 2) == ["2", "3"]
    receiver.close()
    sender.send(Message(body="4", durable=True))
    receiver = again.create_receiver(unique, credit=10, name=unique + "-sub", options=[TOPIC, NeverExpires()])
    nothing(receiver)
    receiver.close()


def shared_subscription(unique):
    options = [Capabilities("topic", "shared", "global")]
    receivers = [connect().create_receiver(unique, credit=5, name="%s|%d" % (unique, n), options=options) for n in (1, 2)]
    whole = connect().create_receiver(unique, credit=100, options=[TOPIC])
    sender = connect().create_sender(unique, options=[TOPIC])
    sent = ["m%d" % n for n in range(40)]
    for body in sent:
        sender.send(Message(body=body))
    got = []
    by_each = [0, 0]
    until = time.time() + LIMIT
    while len(got) < len(sent) and time.time() < until:
        for index, receiver in enumerate(receivers):
            try:
                got.append(text(receiver.receive(0.05)))
            except Exception:
                continue
            receiver.accept()
            by_each[index] += 1
    assert sorted(got) == sorted(sent), "got %s" % got
    assert min(by_each) > 0, "one of them got nothing: %s" % by_each
    assert texts(whole, len(sent)) == sent, "another subscription of the same topic"


def selectors(unique):
    connection = connect()
    topic = connection.create_receiver(unique, credit=10, options=[TOPIC, Selector("colour = 'red' AND weight >= 2 OR missing IS NOT NULL")])
    sender = connection.create_sender(unique, options=[TOPIC])
    for n in range(5):
        sender.send(Message(body=str(n), properties={"colour": "red" if n % 2 == 0 else "blue", "weight": n}))
    assert texts(topic, 2) == ["2", "4"]
    nothing(topic)


def browser(unique):
    connection = connect()
    sender = connection.create_sender(unique, options=[QUEUE])
    for n in range(3):
        sender.send(Message(body=str(n), durable=True))
    looks = connection.create_receiver(unique, credit=10, options=[QUEUE, Copy()])
    # Copies may come settled.
    assert [text(looks.receive(LIMIT)) for _ in range(3)] == ["0", "1", "2"]
    looks.close()
    takes = connection.create_receiver(unique, credit=10, options=[QUEUE])
    assert texts(takes, 3) == ["0", "1", "2"]


def large(unique):
    connection = connect()
    receiver = connection.create_receiver(unique, credit=1, options=[TOPIC])
    sender = connection.create_sender(unique, options=[TOPIC])
    body = bytes(bytearray((n * 7 + n // 251) % 256 for n in range(1 << 16))) * 160
    sender.send(Message(body=body, inferred=True))
    assert bytes(receiver.receive(LIMIT).body) == body, "the body changed on its way"
    receiver.accept()


def types(unique):
    connection = connect()
    receiver = connection.create_receiver(unique, credit=10, options=[TOPIC])
    sender = connection.create_sender(unique, options=[TOPIC])
    name = uuid.uuid4()
    sent = Message(body={"a": [1, 2.5, None, True], "b": b"x"}, id=name, correlation_id=ulong(7), subject="s", reply_to="r",
                   content_type="t/x", group_id="g", properties={"u": name, "n": -1, "d": 0.5})
    sender.send(sent)
    got = receiver.receive(LIMIT)
    receiver.accept()
    for field in ("body", "id", "correlation_id", "subject", "reply_to", "content_type", "group_id", "properties"):
        assert getattr(got, field) == getattr(sent, field), "%s: %r" % (field, getattr(got, field))


def request_response(unique):
    service = connect()
    requests = service.create_receiver(unique, credit=10, options=[QUEUE])
    caller = SyncRequestResponse(connect(), "queue:" + unique if FACTS["schemes"] else unique)

    import threading

    def serve():
        for _ in range(3):
            request = requests.receive(LIMIT)
            requests.accept()
            replies = service.create_sender(request.reply_to)
            replies.send(Message(body=request.body.upper(), correlation_id=request.correlation_id))
            replies.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    for word in ("one", "two", "three"):
        assert caller.call(Message(body=word)).body == word.upper()
    thread.join(LIMIT)


class Transactions(MessagingHandler, TransactionHandler):
    """Sends and takes in transactions: the first is aborted, the second committed."""

    def __init__(self, unique, container_options):
        super().__init__(auto_settle=False, auto_accept=False, prefetch=0)
        self.unique = unique
        self.options = container_options
        self.committed = 0
        self.aborted = 0
        self.taken = None
        self.problem = None
        self.done = False

    def on_start(self, event):
        self.container = event.container
        self.connection = event.container.connect(PLAIN_URL, reconnect=False, **self.options)
        self.receiver = event.container.create_receiver(self.connection, self.unique + "-in", options=[QUEUE])
        self.sender = event.container.create_sender(self.connection, self.unique + "-out", options=[QUEUE])
        self.timer = event.container.schedule(LIMIT, self)
        self.container.declare_transaction(self.connection, handler=self)

    def on_timer_task(self, event):
        self.end("nothing happened")

    def on_transaction_declared(self, event):
        self.transaction = event.transaction
        self.transaction.send(self.sender, Message(body="from transaction %d" % (self.aborted + 1), durable=True))
        self.receiver.flow(1)

    def on_transaction_declare_failed(self, event):
        self.end("the transaction was not declared")

    def on_message(self, event):
        self.taken = event.message.body
        self.transaction.accept(event.delivery)
        if self.aborted == 0:
            self.transaction.abort()
        else:
            self.transaction.commit()

    def on_transaction_aborted(self, event):
        self.aborted += 1
        self.container.declare_transaction(self.connection, handler=self)

    def on_transaction_committed(self, event):
        self.committed += 1
        self.end(None)

    def on_transaction_commit_failed(self, event):
        self.end("the transaction was not committed")

    def on_transport_error(self, event):
        self.end("transport: %s" % event.transport.condition)

    def on_link_error(self, event):
        self.end("link: %s" % event.link.remote_condition)

    def on_connection_error(self, event):
        self.end("connection: %s" % event.connection.remote_condition)

    def end(self, problem):
        if self.done:
            return
        self.done = True
        self.problem = problem
        self.timer.cancel()
        self.connection.close()


def transactions(unique):
    watcher = connect()
    source = watcher.create_sender(unique + "-in", options=[QUEUE])
    # An abort gives the message back to its link still acquired: the second takes the next one.
    source.send(Message(body="first", durable=True))
    source.send(Message(body="second", durable=True))
    if FACTS.get("username"):
        options = {"user": FACTS["username"], "password": FACTS["password"], "allowed_mechs": "PLAIN", "allow_insecure_mechs": True}
    else:
        options = {"allowed_mechs": "ANONYMOUS"}
    handler = Transactions(unique, options)
    Container(handler).run()
    assert handler.problem is None, handler.problem
    assert (handler.aborted, handler.committed) == (1, 1)
    out = watcher.create_receiver(unique + "-out", credit=10, options=[QUEUE])
    assert texts(out, 1) == ["from transaction 2"]
    nothing(out)
    left = watcher.create_receiver(unique + "-in", credit=10, options=[QUEUE])
    rest = {"first", "second"} - {handler.taken}
    assert set(texts(left, 1)) == rest, "what the aborted transaction took must be there still"
    nothing(left)


def tls_url():
    if not FACTS.get("tlsPort"):
        raise Skip("the target has no TLS listener")
    return "amqps://localhost:%d" % FACTS["tlsPort"]


def trusting():
    domain = SSLDomain(SSLDomain.MODE_CLIENT)
    domain.set_trusted_ca_db(FACTS["caFile"])
    domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME, FACTS["caFile"])
    return domain


def round_trip(connection, address):
    receiver = connection.create_receiver(address, credit=1, options=[TOPIC])
    connection.create_sender(address, options=[TOPIC]).send(Message(body="sealed"))
    assert texts(receiver, 1) == ["sealed"]


def tls(unique):
    round_trip(connect(url=tls_url(), ssl_domain=trusting()), unique)


def external(unique):
    url = tls_url()
    if not FACTS.get("certFile"):
        raise Skip("the target has issued no certificate")
    domain = trusting()
    domain.set_credentials(FACTS["certFile"], FACTS["keyFile"], None)
    connection = connect(url=url, ssl_domain=domain, allowed_mechs="EXTERNAL", user=None, password=None)
    round_trip(connection, "dev/%s/%s" % (FACTS["device"], unique))
    try:
        connection.create_receiver("dev/another/" + unique, credit=1, options=[TOPIC])
    except LinkDetached as refused:
        assert refused.condition == "amqp:unauthorized-access", refused.condition
    else:
        raise AssertionError("a device may read what is another's")


def scram(unique):
    if not FACTS.get("username"):
        raise Skip("the target asks for no password")
    if not SASL.extended():
        raise Skip("this build of Proton has only PLAIN, EXTERNAL and ANONYMOUS")
    connection = connect(allowed_mechs="SCRAM-SHA-256", allow_insecure_mechs=False)
    round_trip(connection, unique)


def wrong_password(unique):
    if not FACTS.get("username"):
        raise Skip("the target asks for no password")
    try:
        connect(password="wrong")
    except Exception as refused:
        assert "unauthorized" in str(refused).lower() or "authentic" in str(refused).lower(), str(refused)
    else:
        raise AssertionError("let in with a wrong password")


CHECKS = [
    ("settle modes", settle_modes),
    ("released and modified, and how often", outcomes),
    ("rejected goes to the dead letters", dead_letters),
    ("durable subscription", durable_subscription),
    ("shared subscription by capabilities", shared_subscription),
    ("selector", selectors),
    ("browsing", browser),
    ("transactions, aborted and committed", transactions),
    ("ten megabytes", large),
    ("types of a message", types),
    ("request and response by a temporary queue", request_response),
    ("TLS", tls),
    ("SASL EXTERNAL with a client certificate", external),
    ("SASL SCRAM-SHA-256", scram),
    ("a wrong password is refused", wrong_password),
]

for index, (name, check) in enumerate(CHECKS):
    if FACTS.get("only") and FACTS["only"] not in "Proton Python: " + name:
        continue
    try:
        check("%sx%d" % (FACTS["unique"], index))
        print("ok " + name)
    except Skip as why:
        print("skip %s: %s" % (name, why))
    except Exception as why:  # whatever a check throws is its failure
        print("fail %s: %s %s" % (name, type(why).__name__, str(why).replace("\n", " ")))
    close_all()
print("@end")
