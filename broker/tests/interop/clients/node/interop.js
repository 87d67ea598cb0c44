// Scenarios of MQTT 3.1, 3.1.1 and 5.0 with MQTT.js against the broker at an address:
//
//     node interop.js HOST:PORT [-SCENARIO...] [SCENARIO...]
//
// runs all scenarios but those with a minus, or only those named (`retained`, `5.0/retained`). Prints `ok SCENARIO` or
// `FAILED SCENARIO: why` for each; exit code 1 if any failed.

import { Context, scenarios } from "./context.js";
import "./scenarios.js";

async function run(address, one, index) {
  const t = new Context(address, one, index);
  const name = `${one.version}/${one.name}`;
  try {
    await one.run(t);
    console.log(`ok ${name}`);
    return true;
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack.replace(/\s*\n\s*/g, " ").slice(0, 600)}`);
    return false;
  } finally {
    for (const client of t.made) client.stop();
  }
}

const [where, ...words] = process.argv.slice(2);
const [, host, port] = where.match(/^(.*):(\d+)$/);
const without = words.filter((word) => word.startsWith("-")).map((word) => word.slice(1));
const only = words.filter((word) => !word.startsWith("-"));
const named = (list, { version, name }) => list.includes(name) || list.includes(`${version}/${name}`);
const chosen = scenarios.filter((one) => (only.length === 0 || named(only, one)) && !named(without, one));
const outcomes = await Promise.all(chosen.map((one, index) => run({ host, port: Number(port) }, one, index)));
process.exitCode = outcomes.every(Boolean) ? 0 : 1;
