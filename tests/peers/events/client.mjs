// The official JavaScript event hub, told what to do line by line.
//
//   node client.mjs <url>
//
// Input:  subscribe <topic> | publish <topic> <json> | request <topic> <json> | burst <topic> <n>
// Output: one JSON object a line: {"ready":true}, {"subscribed":…}, {"event":…}, {"reply":…}.
// It replies to every event that it gets with {"from": "js", "data": <the event's data>}.
import { createRequire } from "node:module";
import readline from "node:readline";

const home = process.env.FTRACK_PEERS_NODE ?? import.meta.dirname;
const { EventHub, Event } = createRequire(`${home}/`)("@ftrack/api");

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const hub = new EventHub(process.argv[2], "ada", "secret");
hub.connect();

const connected = async () => {
  while (!hub.isConnected()) await new Promise((resume) => setTimeout(resume, 10));
};
await connected();
say({ ready: true });

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [command, topic, ...rest] = line.split(" ");
  const data = rest.length ? JSON.parse(rest.join(" ")) : {};
  if (command === "subscribe") {
    hub.subscribe(`topic=${topic}`, (event) => {
      say({ event });
      return { from: "js", data: event.data };
    });
    say({ subscribed: topic });
  } else if (command === "publish") {
    await hub.publish(new Event(topic, data));
  } else if (command === "burst") {
    for (let n = 0; n < data; n++) hub.publish(new Event(topic, { n }));
  } else if (command === "request") {
    const reply = await hub.publishAndWaitForReply(new Event(topic, data), { timeout: 20 });
    say({ reply: reply.data });
  }
}
hub.disconnect();
process.exit(0);
