// A client of MQTT.js as scenarios want it: calls that wait for their answer, messages in a queue.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import mqtt from "mqtt";

// How long anything that must come may take on a busy machine, milliseconds.
export const PATIENCE = 20_000;

const PROTOCOLS = {
  "3.1": { protocolId: "MQIsdp", protocolVersion: 3 },
  "3.1.1": { protocolVersion: 4 },
  "5.0": { protocolVersion: 5 },
};

// Things that come one after another, and whoever waits for the next.
class Queue {
  #items = [];
  #wake = () => {};

  push(item) {
    this.#items.push(item);
    this.#wake();
  }

  // The next item; undefined if none comes in time.
  async next(patience = PATIENCE) {
    if (this.#items.length === 0) {
      const came = new Promise((resolve) => (this.#wake = resolve));
      const late = new AbortController();
      await Promise.race([came, sleep(patience, null, { signal: late.signal }).catch(() => {})]);
      late.abort();
    }
    return this.#items.shift();
  }
}

// Does not connect again by itself without `reconnectPeriod`. `options` are those of the library.
export class Client {
  constructor(address, version, clientId, options = {}) {
    this.options = { ...PROTOCOLS[version], clientId, reconnectPeriod: 0, resubscribe: false, ...options };
    Object.assign(this.options, address);
    this.messages = new Queue();
    this.connacks = new Queue();
    this.ends = new Queue();
    this.reason = undefined;
  }

  // Returns CONNACK: `sessionPresent`, `properties`.
  async connect() {
    this.mqtt = mqtt.connect(this.options);
    this.mqtt.on("connect", (connack) => this.connacks.push(connack));
    this.mqtt.on("error", (error) => this.connacks.push(error));
    this.mqtt.on("message", (topic, payload, packet) => {
      const { qos, retain, properties = {} } = packet;
      this.messages.push({ topic, text: payload.toString(), qos, retain, properties });
    });
    this.mqtt.on("disconnect", (packet) => (this.reason = packet.reasonCode));
    this.mqtt.on("close", () => this.ends.push(true));
    const connack = await this.connacks.next();
    assert(connack && !(connack instanceof Error), `CONNACK: ${connack}`);
    return connack;
  }

  // `options`: qos, nl, rap, rh, properties.
  async subscribe(topic, options = {}) {
    const wanted = { qos: 1, ...options };
    const [granted] = await this.mqtt.subscribeAsync(topic, wanted);
    assert.equal(granted.qos, wanted.qos, `SUBACK for ${topic}`);
  }

  unsubscribe(topic) {
    return this.mqtt.unsubscribeAsync(topic);
  }

  // Fulfilled when what the QoS promises has come.
  async publish(topic, payload, options = {}) {
    const late = new AbortController();
    const acknowledged = this.mqtt.publishAsync(topic, payload, { qos: 1, ...options }).then(() => true);
    const inTime = await Promise.race([
      acknowledged,
      sleep(PATIENCE, false, { signal: late.signal }).catch(() => false),
    ]);
    late.abort();
    assert(inTime, `no acknowledgement of a message to ${topic}`);
  }

  next(patience) {
    return this.messages.next(patience);
  }

  // The next messages, which must have these payloads; returns them.
  async expect(...payloads) {
    const seen = [];
    for (const payload of payloads) {
      const message = await this.next();
      assert(message, `no message; expected "${payload}" after ${seen.length}`);
      assert.equal(message.text, payload, `message ${seen.length} on ${message.topic}`);
      seen.push(message);
    }
    return seen;
  }

  // No message comes for so many milliseconds.
  async nothing(time) {
    const message = await this.next(time);
    assert.equal(message, undefined, `a message came: ${JSON.stringify(message)}`);
  }

  // Holds acknowledgements back: returns a queue of functions that let one go.
  holdAcks() {
    const held = new Queue();
    this.mqtt.handleMessage = (_packet, done) => held.push(done);
    return held;
  }

  bytesRead() {
    return this.mqtt.stream.bytesRead;
  }

  // Closes the socket without a DISCONNECT.
  async breakOff() {
    this.mqtt.stream.destroy();
    await this.end();
  }

  // Closes the socket, after which a client with `reconnectPeriod` connects again; returns CONNACK.
  cut() {
    this.mqtt.stream.destroy();
    return this.connacks.next();
  }

  // Waits for the end of the connection; returns the server's reason, if it gave one.
  async end() {
    assert(await this.ends.next(), "the connection does not end");
    return this.reason;
  }

  async disconnect() {
    await this.mqtt.endAsync();
    await this.end();
  }

  // Ends it whatever its state.
  stop() {
    this.mqtt?.end(true);
  }
}
