// The official JavaScript event hub as a contender of `benches/events`: one JSON line of figures.
//
//   node client.mjs <url> <latencies> <burst>
import { createRequire } from "node:module";

const { EventHub, Event } = createRequire(`${process.env.FTRACK_PEERS_NODE}/`)("@ftrack/api");
const [url, latencies, burst] = [process.argv[2], +process.argv[3], +process.argv[4]];
const QUIET = 3000;
const sleep = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

async function connect() {
  const hub = new EventHub(url, "ada", "secret");
  hub.connect();
  while (!hub.isConnected()) await sleep(10);
  return hub;
}

const [sender, receiver] = [await connect(), await connect()];
const times = [];
let arrived = () => {};
receiver.subscribe("topic=bench", () => {
  times.push(performance.now());
  arrived();
});
await sleep(1000);
const took = [];
let start = performance.now();
for (let number = 0; number < latencies; number++) {
  await sleep(Math.max(0, start + 5 * number - performance.now()));
  const arrival = new Promise((resume) => (arrived = resume));
  const sent = performance.now();
  sender.publish(new Event("bench", number)).catch(() => {});
  await Promise.race([arrival, sleep(20000)]);
  took.push(Math.round((times.at(-1) - sent) * 1000));
}
times.length = 0;
arrived = () => {};
start = performance.now();
for (let number = 0; number < burst; number++) sender.publish(new Event("bench", number)).catch(() => {});
while (times.length < burst && performance.now() - (times.at(-1) ?? start) < QUIET) await sleep(100);
const seconds = ((times.at(-1) ?? performance.now()) - start) / 1000;
const before = process.cpuUsage();
const received = times.length;
await sleep(2000);
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ latencies: took, received, seconds, idle: (user + system) / 2e6 }));
process.exit(0);
