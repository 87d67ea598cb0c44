"""Scenarios of retained messages, and of what 5.0 has added."""

import time

from context import ALL, QUIET, V5, scenario


@scenario(ALL)
def retained(t):
    publisher, early = t.connected("p"), t.connected("e")
    # What a wildcard finds may still be on its way when something new comes, so these name their topics.
    for device in "ab":
        early.subscribe(t.topic(f"{device}/state"))
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
        if comes:
            subscriber.expect("kept")
        subscriber.nothing(QUIET)
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
        subscriber.subscribe(t.topic("kept"), retainAsPublished=bool(as_published))
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


@scenario(V5)
def no_local(t):
    own, other = t.connected("a"), t.connected("b")
    own.subscribe(t.topic("a"), noLocal=True)
    own.publish(t.topic("a"), "own")
    other.publish(t.topic("a"), "other")
    own.expect("other")
    for client in (own, other):
        client.disconnect()
