// The scenarios.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "./client.js";
import { ALL, KEPT, QUIET, V5, disconnect, numbers, scenario } from "./context.js";

scenario(ALL, "connect", async (t) => {
  const client = t.client("a");
  const { sessionPresent } = await client.connect();
  assert(!sessionPresent, "a clean session was there before");
  await client.disconnect();
  if (t.version === "5.0") {
    const nameless = new Client(t.address, t.version, "");
    const { properties } = await nameless.connect();
    assert(properties?.assignedClientIdentifier, "no client id was assigned");
    await nameless.disconnect();
  }
});

for (const qos of [0, 1, 2]) {
  scenario(ALL, `qos${qos}`, async (t) => {
    const [publisher, subscriber] = [t.client("p"), await t.connected("s")];
    // All at once, but the library does not heed the server's receive maximum.
    const { properties } = await publisher.connect();
    const atOnce = properties?.receiveMaximum ?? 200;
    await subscriber.subscribe(t.topic("#"), { qos });
    const payloads = numbers(200);
    for (let first = 0; first < payloads.length; first += atOnce) {
      const some = payloads.slice(first, first + atOnce);
      await Promise.all(some.map((payload) => publisher.publish(t.topic("a"), payload, { qos })));
    }
    await publisher.publish(t.topic("a"), "end", { qos });
    const seen = await subscriber.expect(...payloads, "end");
    assert(seen.every((message) => message.qos === qos), "another QoS");
    await disconnect(publisher, subscriber);
  });
}

scenario(KEPT, "kept_session", async (t) => {
  const [away, publisher] = [t.kept("s"), await t.connected("p")];
  assert(!(await away.connect()).sessionPresent, "a new session was there before");
  for (const qos of [1, 2]) await away.subscribe(t.topic(`q${qos}/+`), { qos });
  await away.disconnect();
  const sent = numbers(100).map((payload) => ({ payload, qos: 1 + (payload % 2) }));
  for (const { payload, qos } of sent) await publisher.publish(t.topic(`q${qos}/a`), payload, { qos });
  const back = t.kept("s");
  assert((await back.connect()).sessionPresent, "the session is gone");
  for (const qos of [1, 2]) await publisher.publish(t.topic(`q${qos}/a`), "end", { qos });
  // The library gives QoS 2 to its user at PUBREL, so the two are in order each.
  const seen = [];
  while (seen.length < sent.length + 2) {
    const message = await back.next();
    assert(message, `only ${seen.length} messages`);
    seen.push(message);
  }
  for (const qos of [1, 2]) {
    const of = (messages) => messages.filter((message) => message.qos === qos);
    const expected = of(sent).map(({ payload }) => payload);
    assert.deepEqual(of(seen).map(({ text }) => text), [...expected, "end"], `QoS ${qos}`);
  }
  await back.nothing(QUIET);
  await back.disconnect();
  // A clean start ends it.
  const fresh = t.client("s");
  assert(!(await fresh.connect()).sessionPresent, "a clean start found the session");
  await fresh.subscribe(t.topic("other"));
  await publisher.publish(t.topic("q1/a"), "unwanted");
  await publisher.publish(t.topic("other"), "end");
  await fresh.expect("end");
  await disconnect(fresh, publisher);
});

scenario(V5, "session_expires", async (t) => {
  const away = t.kept("s", { expiry: 1 });
  await away.connect();
  await away.disconnect();
  await sleep(2500);
  const back = t.kept("s", { expiry: 0 });
  assert(!(await back.connect()).sessionPresent, "the session outlived its expiry");
  await back.disconnect();
});

// By the library itself, after a cut.
scenario(KEPT, "reconnect", async (t) => {
  const [client, publisher] = [t.kept("s", { reconnectPeriod: 100 }), await t.connected("p")];
  await client.connect();
  await client.subscribe(t.topic("a"));
  const connack = client.cut();
  const payloads = numbers(20);
  for (const payload of payloads) await publisher.publish(t.topic("a"), payload);
  await client.expect(...payloads);
  assert((await connack).sessionPresent, "the session is gone");
  await client.publish(t.topic("a"), "end");
  await client.expect("end");
  await client.end();
  await disconnect(client, publisher);
});

// A will of this client; `properties` as the library names them.
const will = (t, properties) => ({ topic: t.topic("will"), payload: "gone", qos: 1, properties });

scenario(ALL, "will", async (t) => {
  const [other, watcher] = await t.pair();
  await watcher.subscribe(t.topic("#"));
  const dying = await t.connected("d", { will: will(t) });
  await dying.breakOff();
  const [{ topic, qos, retain }] = await watcher.expect("gone");
  assert.deepEqual({ topic, qos, retain }, { topic: t.topic("will"), qos: 1, retain: false });
  await other.publish(t.topic("end"), "end");
  await watcher.expect("end");
  await disconnect(other, watcher);
});

scenario(ALL, "no_will", async (t) => {
  const watcher = await t.connected("w");
  await watcher.subscribe(t.topic("#"));
  for (const number of ["1", "2"]) {
    // The same client id: what became of the connection before is known when this one is let in.
    const leaving = await t.connected("d", { will: will(t) });
    await leaving.publish(t.topic("end"), number);
    await leaving.disconnect();
  }
  await watcher.expect("1", "2");
  await watcher.nothing(QUIET);
  await watcher.disconnect();
});

scenario(V5, "will_delay", async (t) => {
  const watcher = await t.connected("w");
  await watcher.subscribe(t.topic("#"));
  const dying = t.kept("d", { will: will(t, { willDelayInterval: 2 }) });
  await dying.connect();
  await dying.breakOff();
  await watcher.nothing(1000);
  await watcher.expect("gone");
  await watcher.disconnect();
});

scenario(V5, "will_delay_cancelled", async (t) => {
  const watcher = await t.connected("w");
  await watcher.subscribe(t.topic("#"));
  const dying = t.kept("d", { will: will(t, { willDelayInterval: 1 }) });
  await dying.connect();
  await dying.breakOff();
  const back = t.kept("d");
  assert((await back.connect()).sessionPresent, "the session is gone");
  await watcher.nothing(2500);
  await disconnect(back, watcher);
});

scenario(ALL, "retained", async (t) => {
  const [publisher, early] = await t.pair();
  // What a wildcard finds may still be on its way when something new comes, so these name their topics.
  for (const device of "ab") await early.subscribe(t.topic(`${device}/state`));
  for (const [device, payload] of [["a", "1"], ["b", "1"], ["a", "2"]]) {
    await publisher.publish(t.topic(`${device}/state`), payload, { retain: true });
  }
  const live = await early.expect("1", "1", "2");
  assert(live.every(({ retain }) => !retain), "a live message came with the retain flag");
  const late = await t.connected("l");
  await late.subscribe(t.topic("+/state"));
  const seen = [await late.next(), await late.next()];
  assert(seen.every((message) => message?.retain && message.qos === 1), `retained: ${JSON.stringify(seen)}`);
  assert.deepEqual(Object.fromEntries(seen.map(({ topic, text }) => [topic, text])), {
    [t.topic("a/state")]: "2",
    [t.topic("b/state")]: "1",
  });
  for (const device of "ab") await publisher.publish(t.topic(`${device}/state`), "", { retain: true });
  const after = await t.connected("f");
  await after.subscribe(t.topic("+/state"));
  await publisher.publish(t.topic("c/state"), "end");
  await after.expect("end");
  await late.expect("", "", "end");
  await disconnect(publisher, early, late, after);
});

scenario(V5, "retain_handling", async (t) => {
  const [publisher, subscriber] = await t.pair();
  await publisher.publish(t.topic("kept"), "kept", { retain: true });
  // Handling 0: at every subscribe; 1: at the first; 2: never.
  for (const [rh, comes] of [[2, []], [1, []], [0, ["kept"]], [0, ["kept"]]]) {
    await subscriber.subscribe(t.topic("+"), { rh });
    await subscriber.expect(...comes);
    await subscriber.nothing(QUIET);
  }
  await subscriber.unsubscribe(t.topic("+"));
  await subscriber.subscribe(t.topic("+"), { rh: 1 });
  await subscriber.expect("kept");
  await publisher.publish(t.topic("kept"), "", { retain: true });
  await disconnect(publisher, subscriber);
});

scenario(V5, "retain_as_published", async (t) => {
  const publisher = await t.connected("p");
  const subscribers = [];
  for (const rap of [false, true]) {
    const subscriber = await t.connected(`s${rap}`);
    await subscriber.subscribe(t.topic("kept"), { rap });
    subscribers.push(subscriber);
  }
  for (const [payload, retain] of [["1", true], ["2", false], ["", true]]) {
    await publisher.publish(t.topic("kept"), payload, { retain });
  }
  const flags = async (subscriber) => (await subscriber.expect("1", "2", "")).map(({ retain }) => retain);
  assert.deepEqual(await flags(subscribers[0]), [false, false, false]);
  assert.deepEqual(await flags(subscribers[1]), [true, false, true]);
  await disconnect(publisher, ...subscribers);
});

scenario(V5, "shared", async (t) => {
  const publisher = await t.connected("p");
  const members = [await t.connected("a"), await t.connected("b")];
  for (const member of members) await member.subscribe(`$share/${t.name}/${t.topic("#")}`);
  const payloads = numbers(100);
  for (const payload of payloads) await publisher.publish(t.topic(payload % 7), payload);
  const shares = members.map(() => []);
  for (const [index, member] of members.entries()) {
    for (let message; (message = await member.next(QUIET)); ) shares[index].push(message.text);
  }
  assert.deepEqual(shares.flat().sort((a, b) => a - b), payloads);
  assert(shares.every(({ length }) => length > 0), "one member has got nothing");
  await disconnect(publisher, ...members);
});

scenario(V5, "properties", async (t) => {
  const [publisher, subscriber] = await t.pair();
  await subscriber.subscribe(t.topic("a"));
  const sent = {
    // The library keeps the order of values of one name.
    userProperties: { b: ["2", "1", "2"], a: "3", ä: "" },
    responseTopic: t.topic("answer"),
    correlationData: Buffer.from([...Array(256).keys()]),
    contentType: "text/plain",
    payloadFormatIndicator: true,
  };
  await publisher.publish(t.topic("a"), "with", { properties: sent });
  await publisher.publish(t.topic("a"), "without");
  const [message, plain] = await subscriber.expect("with", "without");
  const { userProperties, ...others } = message.properties;
  assert.deepEqual({ ...others, userProperties: { ...userProperties } }, sent);
  assert.deepEqual({ ...plain.properties }, {}, "properties from nowhere");
  await disconnect(publisher, subscriber);
});

scenario(V5, "message_expiry", async (t) => {
  const [publisher, subscriber] = await t.pair();
  await subscriber.subscribe(t.topic("a"));
  await publisher.publish(t.topic("a"), "1", { properties: { messageExpiryInterval: 60 } });
  const [{ properties }] = await subscriber.expect("1");
  const left = properties.messageExpiryInterval;
  assert(left >= 50 && left <= 60, `${left} seconds left`);
  await disconnect(publisher, subscriber);
});

scenario(V5, "queued_message_expires", async (t) => {
  const [away, publisher] = [t.kept("s"), await t.connected("p")];
  await away.connect();
  await away.subscribe(t.topic("a"));
  await away.disconnect();
  for (const [payload, messageExpiryInterval] of [["short", 1], ["long", 60]]) {
    await publisher.publish(t.topic("a"), payload, { properties: { messageExpiryInterval } });
  }
  await sleep(2500);
  const back = t.kept("s", { expiry: 0 });
  assert((await back.connect()).sessionPresent, "the session is gone");
  const [{ properties }] = await back.expect("long");
  const left = properties.messageExpiryInterval;
  assert(left >= 50 && left <= 59, `${left} seconds left`);
  await disconnect(publisher, back);
});

scenario(V5, "subscription_identifiers", async (t) => {
  const [publisher, subscriber] = await t.pair();
  const [small, large] = [1, 268_435_455];
  await subscriber.subscribe(t.topic("both/+"), { properties: { subscriptionIdentifier: small } });
  await subscriber.subscribe(t.topic("#"), { properties: { subscriptionIdentifier: large } });
  for (const [topic, expected] of [["both/a", [small, large]], ["one", [large]]]) {
    await publisher.publish(t.topic(topic), topic);
    // One message with all identifiers, or one for each.
    const seen = [];
    while (seen.length < expected.length) {
      const [{ properties }] = await subscriber.expect(topic);
      seen.push(...[properties.subscriptionIdentifier].flat());
    }
    assert.deepEqual(seen.sort(), expected, topic);
  }
  await disconnect(publisher, subscriber);
});

scenario(V5, "aliases_to_server", async (t) => {
  const subscriber = await t.connected("s");
  await subscriber.subscribe(t.topic("+"));
  // The library makes an alias for each topic, and gives the oldest to another when there are no more.
  const publisher = t.client("p", { autoAssignTopicAlias: true });
  const { properties } = await publisher.connect();
  const max = properties?.topicAliasMaximum ?? 0;
  assert(max > 0, "the server takes no aliases");
  const sent = numbers(3 * max + 9).map((payload) => [t.topic(payload % (max + 3)), payload]);
  for (const [topic, payload] of sent) await publisher.publish(topic, payload);
  for (const [topic, payload] of sent) {
    const [message] = await subscriber.expect(payload);
    assert.equal(message.topic, topic);
    assert.equal(message.properties.topicAlias, undefined, "the publisher's alias went on");
  }
  await disconnect(publisher, subscriber);
});

// A server may use aliases up to the announced maximum; the library resolves them.
scenario(V5, "aliases_to_client", async (t) => {
  const [publisher, subscriber] = await t.pair({ properties: { topicAliasMaximum: 3 } });
  await subscriber.subscribe(t.topic("+"));
  const sent = numbers(70).map((payload) => [t.topic(payload % 7), payload]);
  for (const [topic, payload] of sent) await publisher.publish(topic, payload);
  for (const [topic, payload] of sent) {
    const [message] = await subscriber.expect(payload);
    assert.equal(message.topic, topic);
  }
  await disconnect(publisher, subscriber);
});

scenario(ALL, "take_over", async (t) => {
  const first = await t.connected("a");
  const second = await t.connected("a");
  const reason = await first.end();
  if (t.version === "5.0") assert.equal(reason, 0x8e);
  await second.subscribe(t.topic("a"));
  await second.publish(t.topic("a"), "still here");
  await second.expect("still here");
  await second.disconnect();
});

scenario(ALL, "large_payload", async (t) => {
  const client = await t.connected("a");
  const text = numbers(50_000).join(",");
  assert(text.length > 200_000);
  for (const qos of [0, 1, 2]) {
    await client.subscribe(t.topic(qos), { qos });
    await client.publish(t.topic(qos), text, { qos });
    const message = await client.next();
    assert(message?.text === text, `QoS ${qos}: ${message?.text.length} bytes`);
  }
  await client.disconnect();
});

// Three messages are on their way; the second comes when the first is acknowledged. The library itself looks at no
// further packet while it is held, so what the socket has read is counted.
scenario(V5, "receive_maximum", async (t) => {
  const [publisher, slow] = await t.pair({ properties: { receiveMaximum: 1 } });
  const held = slow.holdAcks();
  await slow.subscribe(t.topic("a"));
  await publisher.publish(t.topic("a"), "1");
  for (const payload of ["1", "2", "3"]) {
    await slow.expect(payload);
    const before = slow.bytesRead();
    if (payload === "1") for (const next of ["2", "3"]) await publisher.publish(t.topic("a"), next);
    await sleep(QUIET);
    assert.equal(slow.bytesRead(), before, "something came before the acknowledgement");
    (await held.next())();
  }
  await disconnect(publisher, slow);
});

scenario(ALL, "unsubscribe", async (t) => {
  const client = await t.connected("a");
  for (const topic of ["a", "b"]) await client.subscribe(t.topic(topic));
  await client.publish(t.topic("a"), "1");
  await client.expect("1");
  await client.unsubscribe(t.topic("a"));
  await client.publish(t.topic("a"), "2");
  await client.publish(t.topic("b"), "end");
  await client.expect("end");
  await client.disconnect();
});

scenario(V5, "no_local", async (t) => {
  const [own, other] = [await t.connected("a"), await t.connected("b")];
  await own.subscribe(t.topic("a"), { nl: true });
  await own.publish(t.topic("a"), "own");
  await other.publish(t.topic("a"), "other");
  await own.expect("other");
  await disconnect(own, other);
});
