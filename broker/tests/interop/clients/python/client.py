"""A client of Eclipse Paho for Python as scenarios want it: calls that wait for their answer, messages in a queue."""

import queue
from dataclasses import dataclass, field

from paho.mqtt.client import CallbackAPIVersion, Client as Paho, MQTTv31, MQTTv311, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

# How long anything that must come may take on a busy machine, seconds.
PATIENCE = 20
PROTOCOLS = {"3.1": MQTTv31, "3.1.1": MQTTv311, "5.0": MQTTv5}


@dataclass
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    id: int
    properties: object = field(default=None, repr=False)

    @property
    def text(self):
        return self.payload.decode()


def properties(packet, values):
    """Properties by their names in the library; None where there are none, as before 5.0."""
    if not values:
        return None
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Client:
    """Does not connect again by itself unless it is told to `reconnect`. `connect` are properties for CONNECT."""

    def __init__(
        self, address, version, client_id, clean=True, will=None, manual_ack=False, reconnect=False, **connect
    ):
        self.address, self.version, self.clean, self.connect_properties = address, version, clean, connect
        self.messages, self.connacks, self.ends = queue.Queue(), queue.Queue(), queue.Queue()
        self.subacks, self.unsubacks = queue.Queue(), queue.Queue()
        v5 = version == "5.0"
        self.paho = Paho(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if v5 else clean,
            protocol=PROTOCOLS[version],
            reconnect_on_failure=reconnect,
            manual_ack=manual_ack,
        )
        if will:
            topic, payload, values = will
            self.paho.will_set(topic, payload, qos=1, properties=properties(PacketTypes.WILLMESSAGE, values))
        self.paho.on_connect = lambda _c, _u, flags, reason, props: self.connacks.put((flags, reason, props))
        self.paho.on_disconnect = lambda _c, _u, flags, reason, _p: self.ends.put((flags, reason))
        self.paho.on_subscribe = lambda _c, _u, _mid, reasons, _p: self.subacks.put(reasons)
        self.paho.on_unsubscribe = lambda _c, _u, _mid, reasons, _p: self.unsubacks.put(reasons)
        self.paho.on_message = lambda _c, _u, message: self.messages.put(message)

    def connect(self):
        """Returns whether the session was there before, and the properties of CONNACK."""
        host, port = self.address
        if self.version == "5.0":
            values = properties(PacketTypes.CONNECT, self.connect_properties)
            self.paho.connect(host, port, clean_start=self.clean, properties=values)
        else:
            self.paho.connect(host, port)
        self.paho.loop_start()
        flags, reason, props = self.connacks.get(timeout=PATIENCE)
        assert not reason.is_failure, f"CONNACK says {reason}"
        return flags.session_present, props

    def subscribe(self, topic, qos=1, identifier=None, **options):
        """`options` are those of the library's SubscribeOptions. Waits for SUBACK."""
        if self.version == "5.0":
            values = properties(PacketTypes.SUBSCRIBE, identifier and {"SubscriptionIdentifier": identifier})
            self.paho.subscribe(topic, options=SubscribeOptions(qos=qos, **options), properties=values)
        else:
            self.paho.subscribe(topic, qos)
        (reason,) = self.subacks.get(timeout=PATIENCE)
        assert reason.value == qos, f"SUBACK for {topic} at QoS {qos} says {reason}"

    def unsubscribe(self, topic):
        self.paho.unsubscribe(topic)
        reasons = self.unsubacks.get(timeout=PATIENCE)
        assert not any(reason.is_failure for reason in reasons), f"UNSUBACK says {reasons}"

    def send(self, topic, payload, qos=1, retain=False, **values):
        """Publishes without waiting; returns what can be waited for."""
        return self.paho.publish(topic, payload, qos, retain, properties(PacketTypes.PUBLISH, values))

    def publish(self, topic, payload, qos=1, retain=False, **values):
        """Publishes and waits for what the QoS promises."""
        sent = self.send(topic, payload, qos, retain, **values)
        sent.wait_for_publish(PATIENCE)
        assert sent.is_published(), f"no acknowledgement of a message to {topic}"

    def next(self, patience=PATIENCE):
        """The next message; None if none comes in time."""
        try:
            m = self.messages.get(timeout=patience)
        except queue.Empty:
            return None
        return Message(m.topic, m.payload, m.qos, m.retain, m.mid, m.properties)

    def expect(self, *payloads):
        """The next messages, which must have these payloads; returns them."""
        seen = []
        for payload in payloads:
            message = self.next()
            assert message, f"no message; expected {payload!r} after {[m.text[:40] for m in seen]}"
            seen.append(message)
            assert message.text == payload, f"{message} instead of {payload!r} after {len(seen) - 1} messages"
        return seen

    def nothing(self, seconds):
        """No message comes for so long."""
        message = self.next(seconds)
        assert message is None, f"{message} came"

    def ack(self, message):
        self.paho.ack(message.id, message.qos)

    def break_off(self):
        """Closes the socket without a DISCONNECT."""
        self.paho.socket().shutdown(2)
        self.end()

    def cut(self):
        """Closes the socket, after which the library connects again; returns whether the session was there."""
        self.paho.socket().shutdown(2)
        flags, reason, _ = self.connacks.get(timeout=PATIENCE)
        assert not reason.is_failure, f"CONNACK says {reason}"
        return flags.session_present

    def end(self):
        """Waits for the end of the connection; returns the reason that the library shows."""
        flags, reason = self.ends.get(timeout=PATIENCE)
        self.paho.loop_stop()
        return flags, reason

    def disconnect(self):
        self.paho.disconnect()
        flags, reason = self.end()
        assert not reason.is_failure, f"a clean end became {reason}"

    def stop(self):
        """Ends it whatever its state, without a word: for scenarios that failed."""
        self.paho.disconnect()
        self.paho.loop_stop()
