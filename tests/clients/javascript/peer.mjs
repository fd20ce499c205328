// A process with the official JavaScript event hub, told what to do line by line.
//
//   {"subscribe": "topic=x", "subscriber": {…}, "reply": {…}}
//   {"publish": "topic", "data": {…}, "target": "…"}
//   {"request": "topic", "data": {…}}
//
// It says {"ready": …}, {"event": …} for each event, {"reply": …} for the reply to a request.
import readline from "node:readline";

import { ftrack } from "./client.mjs";

const { FTRACK_SERVER, FTRACK_API_USER, FTRACK_API_KEY } = process.env;
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const hub = new ftrack.EventHub(FTRACK_SERVER, FTRACK_API_USER, FTRACK_API_KEY, {
  applicationId: "tests.peer",
});
hub.connect();
while (!hub.isConnected()) await new Promise((resume) => setTimeout(resume, 10));
say({ ready: "javascript", id: hub._id });

for await (const line of readline.createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  if (order.subscribe) {
    const callback = (event) => {
      say({ event });
      return order.reply;
    };
    hub.subscribe(order.subscribe, callback, order.subscriber);
    // The server works off the packets of a connection in their order: when this comes back, the
    // subscription is in force.
    const topic = `peer.settled.${hub._id}`;
    await new Promise((resolve) => {
      const settled = hub.subscribe(`topic=${topic}`, resolve);
      hub.publish(new ftrack.Event(topic, {})).then(() => settled);
    });
    say({ subscribed: order.subscribe });
  } else if (order.publish) {
    await hub.publish(new ftrack.Event(order.publish, order.data, { target: order.target ?? "" }));
    say({ published: order.publish });
  } else if (order.request) {
    const reply = await hub.publishAndWaitForReply(new ftrack.Event(order.request, order.data), { timeout: 20 });
    say({ reply });
  }
}
hub.disconnect();
process.exit(0);
