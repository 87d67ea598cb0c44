// What scenarios need: a table to stand in, and topics and clients of their own.

import { Client } from "./client.js";

export const V5 = ["5.0"];
export const KEPT = ["3.1.1", "5.0"];
export const ALL = ["3.1", ...KEPT];
// Milliseconds in which what must not come would have come.
export const QUIET = 500;
const RUN = (process.hrtime.bigint() % 16n ** 7n).toString(16);
export const scenarios = [];

export function scenario(versions, name, run) {
  for (const version of versions) scenarios.push({ version, name, run });
}

export const numbers = (count) => Array.from({ length: count }, (_, number) => String(number));
export const disconnect = (...clients) => Promise.all(clients.map((client) => client.disconnect()));

// What a scenario needs: topics and clients of its own.
export class Context {
  made = [];

  constructor(address, { version, name }, index) {
    Object.assign(this, { address, version, name, index });
  }

  topic(end) {
    return `interop/${RUN}/node/${this.version}/${this.name}/${end}`;
  }

  client(name, options) {
    // 3.1 allows 23 bytes.
    const client = new Client(this.address, this.version, `js${RUN}${this.index}${name}`, options);
    this.made.push(client);
    return client;
  }

  async connected(name, options) {
    const client = this.client(name, options);
    await client.connect();
    return client;
  }

  // A client whose session is kept for `expiry` seconds (5.0), or for ever.
  kept(name, { expiry = 60, ...options } = {}) {
    const properties = this.version === "5.0" ? { sessionExpiryInterval: expiry } : undefined;
    return this.client(name, { clean: false, properties, ...options });
  }

  // A connected publisher and a connected subscriber.
  pair(subscriber) {
    return Promise.all([this.connected("p"), this.connected("s", subscriber)]);
  }
}
