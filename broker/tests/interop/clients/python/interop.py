"""Scenarios of MQTT 3.1, 3.1.1 and 5.0 with Eclipse Paho for Python against the broker at an address:

    interop.py HOST:PORT [-SCENARIO...] [SCENARIO...]

runs all scenarios but those with a minus, or only those named (`retained`, `5.0/retained`). Prints `ok SCENARIO` or
`FAILED SCENARIO: why` for each; exit code 1 if any failed.
"""

import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from client import PATIENCE, Client

V5 = ["5.0"]
KEPT = ["3.1.1", "5.0"]
ALL = ["3.1", *KEPT]
# Seconds in which what must not come would have come.
QUIET = 0.5
RUN = format(time.time_ns() // 1000 % 16**7, "x")
scenarios = []


def scenario(versions):
    def add(function):
        scenarios.extend((version, function) for version in versions)
        return function

    return add


def in_background(function):
    """Runs it in a thread; returns how to wait for its result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function()), daemon=True)
    thread.start()

    def wait():
        thread.join()
        (value,) = result
        return value

    return wait


class Context:
    """What a scenario needs: topics and clients of its own."""

    def __init__(self, address, version, name):
        self.address, self.version, self.name = address, version, name
        self.made = []

    def topic(self, end):
        return f"interop/{RUN}/python/{self.version}/{self.name}/{end}"

    def client(self, name, **options):
        # 3.1 allows 23 bytes.
        client_id = f"py{RUN}{scenarios.index((self.version, globals()[self.name]))}{name}"
        client = Client(self.address, self.version, client_id, **options)
        self.made.append(client)
        return client

    def connected(self, name, **options):
        client = self.client(name, **options)
        client.connect()
        return client

    def kept(self, name, expiry=60, **options):
        """A client whose session is kept for `expiry` seconds (5.0), or for ever."""
        if self.version == "5.0":
            options["SessionExpiryInterval"] = expiry
        return self.client(name, clean=False, **options)


@scenario(ALL)
def connect(t):
    client = t.client("a")
    present, _ = client.connect()
    assert not present, "a clean session was there before"
    client.disconnect()
    if t.version == "5.0":
        nameless = Client(t.address, t.version, "")
        _, properties = nameless.connect()
        assert properties.AssignedClientIdentifier, "no client id was assigned"
        nameless.disconnect()


def in_order(t, qos):
    publisher, subscriber = t.connected("p"), t.connected("s")
    subscriber.subscribe(t.topic("#"), qos)
    payloads = [str(number) for number in range(200)]
    sent = [publisher.send(t.topic("a"), payload, qos) for payload in payloads]
    seen = subscriber.expect(*payloads)
    assert all(message.qos == qos for message in seen), "another QoS"
    for info in sent:
        info.wait_for_publish(PATIENCE)
    publisher.publish(t.topic("a"), "end", qos)
    subscriber.expect("end")
    publisher.disconnect()
    subscriber.disconnect()


@scenario(ALL)
def qos0(t):
    in_order(t, 0)


@scenario(ALL)
def qos1(t):
    in_order(t, 1)


@scenario(ALL)
def qos2(t):
    in_order(t, 2)


@scenario(KEPT)
def kept_session(t):
    away, publisher = t.kept("s"), t.connected("p")
    present, _ = away.connect()
    assert not present, "a new session was there before"
    away.subscribe(t.topic("q1/+"), 1)
    away.subscribe(t.topic("q2/+"), 2)
    away.disconnect()
    sent = [(1 + number % 2, str(number)) for number in range(100)]
    for qos, payload in sent:
        publisher.publish(t.topic(f"q{qos}/a"), payload, qos)
    back = t.kept("s")
    present, _ = back.connect()
    assert present, "the session is gone"
    for qos in (1, 2):
        publisher.publish(t.topic(f"q{qos}/a"), "end", qos)
    # The library gives QoS 2 to its user at PUBREL, so the two are in order each.
    seen = [back.next() for _ in range(len(sent) + 2)]
    assert all(seen), f"{seen.count(None)} messages are missing"
    for qos in (1, 2):
        expected = [payload for q, payload in sent if q == qos]
        assert [m.text for m in seen if m.qos == qos] == [*expected, "end"], f"QoS {qos}: {seen}"
    back.nothing(QUIET)
    back.disconnect()
    # A clean start ends it.
    fresh = t.client("s")
    assert not fresh.connect()[0], "a clean start found the session"
    fresh.subscribe(t.topic("other"))
    publisher.publish(t.topic("q1/a"), "unwanted")
    publisher.publish(t.topic("other"), "end")
    fresh.expect("end")
    fresh.disconnect()
    publisher.disconnect()


@scenario(V5)
def session_expires(t):
    away = t.kept("s", expiry=1)
    away.connect()
    away.disconnect()
    time.sleep(2.5)
    back = t.kept("s", expiry=0)
    assert back.connect()[0] is False, "the session outlived its expiry"
    back.disconnect()


@scenario(KEPT)
def reconnect(t):
    """By the library itself, after a cut."""
    client, publisher = t.kept("s", reconnect=True), t.connected("p")
    client.connect()
    client.subscribe(t.topic("a"))
    present = in_background(client.cut)
    payloads = [str(number) for number in range(20)]
    for payload in payloads:
        publisher.publish(t.topic("a"), payload)
    client.expect(*payloads)
    assert present(), "the session is gone"
    client.publish(t.topic("a"), "end")
    client.expect("end")
    client.ends.get(timeout=PATIENCE)
    for one in (client, publisher):
        one.disconnect()


@scenario(ALL)
def will(t):
    watcher, other = t.connected("w"), t.connected("o")
    watcher.subscribe(t.topic("#"))
    dying = t.connected("d", will=(t.topic("will"), "gone", None))
    dying.break_off()
    (message,) = watcher.expect("gone")
    assert message.topic == t.topic("will") and message.qos == 1 and not message.retain, message
    other.publish(t.topic("end"), "end")
    watcher.expect("end")
    for client in (watcher, other):
        client.disconnect()


@scenario(ALL)
def no_will(t):
    watcher = t.connected("w")
    watcher.subscribe(t.topic("#"))
    for number in ("1", "2"):
        # The same client id: what became of the connection before is known when this one is let in.
        leaving = t.connected("d", will=(t.topic("will"), "gone", None))
        leaving.publish(t.topic("end"), number)
        leaving.disconnect()
    watcher.expect("1", "2")
    watcher.nothing(QUIET)
    watcher.disconnect()


@scenario(V5)
def will_delay(t):
    watcher = t.connected("w")
    watcher.subscribe(t.topic("#"))
    dying = t.kept("d", will=(t.topic("will"), "gone", {"WillDelayInterval": 2}))
    dying.connect()
    dying.break_off()
    watcher.nothing(1)
    watcher.expect("gone")
    watcher.disconnect()


@scenario(V5)
def will_delay_cancelled(t):
    watcher = t.connected("w")
    watcher.subscribe(t.topic("#"))
    dying = t.kept("d", will=(t.topic("will"), "gone", {"WillDelayInterval": 1}))
    dying.connect()
    dying.break_off()
    back = t.kept("d")
    assert back.connect()[0], "the session is gone"
    watcher.nothing(2.5)
    back.disconnect()
    watcher.disconnect()


@scenario(ALL)
def retained(t):
    publisher, early = t.connected("p"), t.connected("e")
    early.subscribe(t.topic("+/state"))
    expected = {"a": "2", "b": "1"}
    for device, payload in (("a", "1"), ("b", "1"), ("a", "2")):
        publisher.publish(t.topic(f"{device}/state"), payload, retain=True)
    for message in early.expect("1", "1", "2"):
        assert not message.retain, f"a live message came with the retain flag: {message}"
    late = t.connected("l")
    late.subscribe(t.topic("+/state"))
    seen = [late.next(), late.next()]
    assert all(seen), f"only {seen}"
    assert {m.topic.split("/")[-2]: m.text for m in seen} == expected, f"retained: {seen}"
    assert all(m.retain and m.qos == 1 for m in seen), f"without the retain flag: {seen}"
    for device in expected:
        publisher.publish(t.topic(f"{device}/state"), "", retain=True)
    after = t.connected("f")
    after.subscribe(t.topic("+/state"))
    publisher.publish(t.topic("c/state"), "end")
    after.expect("end")
    late.expect("", "", "end")
    for client in (publisher, early, late, after):
        client.disconnect()


@scenario(V5)
def retain_handling(t):
    publisher, subscriber = t.connected("p"), t.connected("s")
    publisher.publish(t.topic("kept"), "kept", retain=True)
    # Handling 0: at every subscribe; 1: at the first; 2: never.
    for handling, comes in ((2, False), (1, False), (0, True), (0, True)):
        subscriber.subscribe(t.topic("+"), retainHandling=handling)
        publisher.publish(t.topic("end"), "end")
        subscriber.expect(*(["kept"] if comes else []), "end")
    subscriber.unsubscribe(t.topic("+"))
    subscriber.subscribe(t.topic("+"), retainHandling=1)
    subscriber.expect("kept")
    publisher.publish(t.topic("kept"), "", retain=True)
    for client in (publisher, subscriber):
        client.disconnect()


@scenario(V5)
def retain_as_published(t):
    publisher = t.connected("p")
    subscribers = [t.connected(name) for name in "ab"]
    for as_published, subscriber in enumerate(subscribers):
        subscriber.subscribe(t.topic("+"), retainAsPublished=bool(as_published))
    publisher.publish(t.topic("kept"), "1", retain=True)
    publisher.publish(t.topic("kept"), "2")
    publisher.publish(t.topic("kept"), "", retain=True)
    for as_published, subscriber in enumerate(subscribers):
        flags = [message.retain for message in subscriber.expect("1", "2", "")]
        assert flags == [bool(as_published), False, bool(as_published)], f"{as_published}: {flags}"
    for client in (publisher, *subscribers):
        client.disconnect()


@scenario(V5)
def shared(t):
    publisher, members = t.connected("p"), [t.connected(name) for name in "ab"]
    for member in members:
        member.subscribe(f"$share/{t.name}/{t.topic('#')}")
        member.subscribe(t.topic("end"))
    payloads = [str(number) for number in range(100)]
    for payload in payloads:
        publisher.publish(t.topic(f"{int(payload) % 7}"), payload)
    shares = []
    for member in members:
        publisher.publish(t.topic("end"), "end")
    for member in members:
        share, ends = [], 0
        # Each member has `end` twice by its own subscription, and some of the group's two.
        while (message := member.next(QUIET)) is not None:
            if message.text == "end":
                ends += 1
            else:
                share.append(message.text)
        assert ends >= 2, f"{ends} messages by a subscription of its own"
        shares.append(share)
    assert sorted(sum(shares, []), key=int) == payloads, f"{shares}"
    assert all(shares), f"one member has got nothing: {shares}"
    for client in (publisher, *members):
        client.disconnect()


@scenario(V5)
def properties(t):
    publisher, subscriber = t.connected("p"), t.connected("s")
    subscriber.subscribe(t.topic("a"))
    sent = {
        "UserProperty": [("b", "1"), ("a", "2"), ("b", "1"), ("ä", "")],
        "ResponseTopic": t.topic("answer"),
        "CorrelationData": bytes(range(256)),
        "ContentType": "text/plain",
        "PayloadFormatIndicator": 1,
    }
    publisher.publish(t.topic("a"), "with", **sent)
    publisher.publish(t.topic("a"), "without")
    message, plain = subscriber.expect("with", "without")
    for name, value in sent.items():
        assert getattr(message.properties, name) == value, f"{name}: {message.properties}"
    assert plain.properties.isEmpty(), f"properties from nowhere: {plain.properties}"
    for client in (publisher, subscriber):
        client.disconnect()


@scenario(V5)
def message_expiry(t):
    publisher, subscriber = t.connected("p"), t.connected("s")
    subscriber.subscribe(t.topic("a"))
    publisher.publish(t.topic("a"), "1", MessageExpiryInterval=60)
    (message,) = subscriber.expect("1")
    assert 50 <= message.properties.MessageExpiryInterval <= 60, f"{message.properties}"
    for client in (publisher, subscriber):
        client.disconnect()


@scenario(V5)
def queued_message_expires(t):
    away, publisher = t.kept("s"), t.connected("p")
    away.connect()
    away.subscribe(t.topic("a"))
    away.disconnect()
    publisher.publish(t.topic("a"), "short", MessageExpiryInterval=1)
    publisher.publish(t.topic("a"), "long", MessageExpiryInterval=60)
    time.sleep(2.5)
    back = t.kept("s", expiry=0)
    assert back.connect()[0], "the session is gone"
    (message,) = back.expect("long")
    assert 50 <= message.properties.MessageExpiryInterval <= 59, f"{message.properties}"
    for client in (publisher, back):
        client.disconnect()


@scenario(V5)
def subscription_identifiers(t):
    publisher, subscriber = t.connected("p"), t.connected("s")
    subscriber.subscribe(t.topic("both/+"), identifier=1)
    subscriber.subscribe(t.topic("#"), identifier=268_435_455)
    for topic, expected in (("both/a", [1, 268_435_455]), ("one", [268_435_455])):
        publisher.publish(t.topic(topic), topic)
        # One message with all identifiers, or one for each.
        seen = []
        while len(seen) < len(expected):
            (message,) = subscriber.expect(topic)
            seen += message.properties.SubscriptionIdentifier
        assert sorted(seen) == expected, f"{topic}: {seen}"
    for client in (publisher, subscriber):
        client.disconnect()


@scenario(V5)
def aliases_to_server(t):
    """The library leaves aliases to its user."""
    publisher, subscriber = t.client("p"), t.connected("s")
    _, connack = publisher.connect()
    alias_max = getattr(connack, "TopicAliasMaximum", 0)
    assert alias_max > 0, "the server takes no aliases"
    subscriber.subscribe(t.topic("+"))
    for topic in ("a", "b"):
        publisher.publish(t.topic(topic), "first", TopicAlias=alias_max)
        publisher.publish("", "second", TopicAlias=alias_max)
        seen = subscriber.expect("first", "second")
        assert [m.topic for m in seen] == [t.topic(topic)] * 2, f"{seen}"
        assert not any(hasattr(m.properties, "TopicAlias") for m in seen), "the publisher's alias went on"
    for client in (publisher, subscriber):
        client.disconnect()


@scenario(V5)
def aliases_to_client(t):
    """A server may use aliases up to the announced maximum; the library leaves resolving them to its user."""
    publisher, subscriber = t.connected("p"), t.connected("s", TopicAliasMaximum=3)
    subscriber.subscribe(t.topic("+"))
    sent = [(t.topic(f"{number % 7}"), str(number)) for number in range(70)]
    for topic, payload in sent:
        publisher.publish(topic, payload)
    known = {}
    for topic, payload in sent:
        (message,) = subscriber.expect(payload)
        alias = getattr(message.properties, "TopicAlias", None)
        assert alias is None or 1 <= alias <= 3, f"alias {alias}"
        if alias and message.topic:
            known[alias] = message.topic
        assert (message.topic or known.get(alias)) == topic, f"{message} with alias {alias}, known {known}"
    for client in (publisher, subscriber):
        client.disconnect()


@scenario(ALL)
def take_over(t):
    first = t.connected("a")
    second = t.connected("a")
    flags, reason = first.end()
    if t.version == "5.0":
        assert flags.is_disconnect_packet_from_server and reason.value == 0x8E, f"ended with {reason}"
    second.subscribe(t.topic("a"))
    second.publish(t.topic("a"), "still here")
    second.expect("still here")
    second.disconnect()


@scenario(ALL)
def large_payload(t):
    client = t.connected("a")
    text = "".join(f"{number * 0x9E3779B9 & 0xFFFFFFFF:x}," for number in range(25_000))
    assert len(text) > 200_000
    for qos in (0, 1, 2):
        client.subscribe(t.topic(f"{qos}"), qos)
        client.publish(t.topic(f"{qos}"), text, qos)
        message = client.next()
        assert message and message.text == text, f"QoS {qos}: {message and len(message.payload)} bytes"
    client.disconnect()


@scenario(V5)
def receive_maximum(t):
    """Three messages are on their way; the second comes when the first is acknowledged."""
    publisher, slow = t.connected("p"), t.connected("s", manual_ack=True, ReceiveMaximum=1)
    slow.subscribe(t.topic("a"))
    for payload in "123":
        publisher.publish(t.topic("a"), payload)
    for payload in "123":
        (message,) = slow.expect(payload)
        slow.nothing(QUIET)
        slow.ack(message)
    for client in (publisher, slow):
        client.disconnect()


@scenario(ALL)
def unsubscribe(t):
    client = t.connected("a")
    client.subscribe(t.topic("a"))
    client.subscribe(t.topic("b"))
    client.publish(t.topic("a"), "1")
    client.expect("1")
    client.unsubscribe(t.topic("a"))
    client.publish(t.topic("a"), "2")
    client.publish(t.topic("b"), "end")
    client.expect("end")
    client.disconnect()


@scenario(V5)
def no_local(t):
    own, other = t.connected("a"), t.connected("b")
    own.subscribe(t.topic("a"), noLocal=True)
    own.publish(t.topic("a"), "own")
    other.publish(t.topic("a"), "other")
    own.expect("other")
    for client in (own, other):
        client.disconnect()


def run(address, version, function):
    t = Context(address, version, function.__name__)
    name = f"{version}/{t.name}"
    try:
        function(t)
        return f"ok {name}"
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[1].lineno
        return f"FAILED {name}: {type(error).__name__} in line {line}: {error}"
    finally:
        for client in t.made:
            client.stop()


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    without = {word[1:] for word in sys.argv[2:] if word.startswith("-")}
    only = {word for word in sys.argv[2:] if not word.startswith("-")}

    def named(words, version, function):
        return bool(words & {function.__name__, f"{version}/{function.__name__}"})

    chosen = [s for s in scenarios if (not only or named(only, *s)) and not named(without, *s)]
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        lines = list(pool.map(lambda s: run((host, int(port)), *s), chosen))
    print("\n".join(lines))
    sys.exit(any(line.startswith("FAILED") for line in lines))


main()
