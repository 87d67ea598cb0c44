"""Scenarios of connections, sessions, wills, and messages of every version."""

import time

from client import PATIENCE, Client
from context import ALL, KEPT, QUIET, V5, in_background, scenario


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
