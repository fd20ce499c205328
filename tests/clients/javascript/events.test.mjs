// Events: among JavaScript hubs, with a Python process, and those that the server sends.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

import { ftrack, key, open, rows, server, studio, unique, until, user } from "./support.mjs";

const { Event, EventHub, error } = ftrack;
const shared = studio();
// Hubs of one process share a socket, and only the first of them asks for replies: one hub does
// for all tests.
const hub = new EventHub(server, user, key, { applicationId: "tests.clients" });
const hubs = [hub];
after(() => hubs.forEach((each) => each.disconnect()));

/** When one's own event comes back, everything that was sent before it is in force. */
async function settle(hub) {
  const topic = unique("clients.settled");
  let identifier;
  await new Promise((resolve) => {
    identifier = hub.subscribe(`topic=${topic}`, () => resolve());
    hub.publish(new Event(topic, {}));
  });
  hub.unsubscribe(identifier);
}

async function listen(hub, subscription, reply, metadata) {
  const events = [];
  const callback = (event) => {
    events.push(event);
    return reply;
  };
  const identifier = hub.subscribe(subscription, callback, metadata);
  await settle(hub);
  return Object.assign(events, { identifier });
}

describe("a hub", () => {
  let topic;
  beforeEach(() => {
    topic = unique("clients.topic");
  });

  it("works off what was asked for before it was connected", async () => {
    assert.throws(() => hub.publish(new Event(topic, {})), (reason) => reason instanceof error.EventServerPublishError);
    hub.connect();
    assert.equal(hub.isConnected(), false);
    const events = await listen(hub, `topic=${topic}`);
    assert.equal(hub.isConnected(), true);
    await hub.publish(new Event(topic, { n: 1 }));
    await until(() => events.length);
    assert.deepEqual(events[0].data, { n: 1 });
  });

  it("receives its own events as they were sent", async () => {
    const events = await listen(hub, `topic=${topic}`);
    const data = { text: "ünï \u{1f600} :::", list: [1, null, { a: false }] };
    const id = await hub.publish(new Event(topic, data));
    await until(() => events.length);
    assert.deepEqual([events[0].id, events[0].topic, events[0].data], [id, topic, data]);
    assert.deepEqual(events[0].source.user.username, user);
    assert.equal(events[0].source.applicationId, "tests.clients");
    await settle(hub);
    assert.equal(events.length, 1);
  });

  it("subscribes with wildcards", async () => {
    const events = await listen(hub, `topic=${topic}.*`);
    for (const name of [`${topic}.a`, `${topic}.b.c`, `x${topic}.a`]) await hub.publish(new Event(name, {}));
    await settle(hub);
    assert.deepEqual(events.map((event) => event.topic), [`${topic}.a`, `${topic}.b.c`]);
  });

  it("gets replies", async () => {
    await listen(hub, `topic=${topic}`, { value: 42 });
    const reply = await hub.publishAndWaitForReply(new Event(topic, {}), { timeout: 20 });
    assert.deepEqual(reply.data, { value: 42 });
    assert.equal(reply.topic, "ftrack.meta.reply");
  });

  it("stops waiting for a reply that nobody gives", async () => {
    const waiting = hub.publishAndWaitForReply(new Event(topic, {}), { timeout: 0.2 });
    await assert.rejects(waiting, (reason) => reason instanceof error.EventServerReplyTimeoutError);
  });

  it("hears nothing any more after unsubscribing", async () => {
    const events = await listen(hub, `topic=${topic}`);
    assert.equal(hub.unsubscribe(events.identifier), true);
    await settle(hub);
    await hub.publish(new Event(topic, {}));
    await settle(hub);
    assert.equal(events.length, 0);
  });

  it("refuses an identifier that is taken", async () => {
    const id = unique("sub");
    await listen(hub, `topic=${topic}`, undefined, { id });
    assert.throws(() => hub.subscribe(`topic=${topic}`, () => {}, { id }), (reason) => reason instanceof error.NotUniqueError);
    assert.equal(hub.getSubscriberByIdentifier(id).metadata.id, id);
  });

  it("keeps the order", async () => {
    const events = await listen(hub, `topic=${topic}`);
    await Promise.all(Array.from({ length: 300 }, (_, n) => hub.publish(new Event(topic, { n }))));
    await until(() => events.length === 300);
    assert.deepEqual(events.map((event) => event.data.n), Array.from({ length: 300 }, (_, n) => n));
  });
});

describe("with a Python process", () => {
  let topic;
  let peer;
  beforeEach(async () => {
    topic = unique("clients.topic");
    peer = await startPeer();
  });
  afterEach(() => peer.end());

  it("an event arrives there and the reply comes back", async () => {
    peer.tell({ subscribe: `topic=${topic}`, reply: { from: "python" } });
    await peer.expect("subscribed");
    const event = new Event(topic, { text: "漢字" });
    const reply = await hub.publishAndWaitForReply(event, { timeout: 20 });
    assert.deepEqual(reply.data, { from: "python" });
    assert.equal(reply.inReplyToEvent, event.getData().id);
    const { event: received } = await peer.expect("event");
    assert.deepEqual([received.id, received.data], [event.getData().id, { text: "漢字" }]);
    assert.equal(received.source.applicationId, "tests.clients");
  });

  it("an event comes from there and gets a reply", async () => {
    const events = await listen(hub, `topic=${topic}`, { from: "javascript" });
    peer.tell({ request: topic, data: { n: 1 } });
    const { reply } = await peer.expect("reply");
    assert.deepEqual(reply.data, { from: "javascript" });
    assert.equal(reply.inReplyToEvent, events[0].id);
    assert.equal(events[0].source.user.username, user);
  });

  it("targets pick it out", async () => {
    const id = unique("sub");
    peer.tell({ subscribe: `topic=${topic}`, subscriber: { id, application: "maya" } });
    await peer.expect("subscribed");
    const mine = await listen(hub, `topic=${topic}`, undefined, { id: unique("sub"), application: "nuke" });
    await hub.publish(new Event(topic, { n: 1 }, { target: "application=nuke" }));
    await hub.publish(new Event(topic, { n: 2 }, { target: `id=${id}` }));
    assert.deepEqual((await peer.expect("event")).event.data, { n: 2 });
    await settle(hub);
    // A hub of this client does not look at the target: the server alone keeps events away.
    assert.deepEqual(mine.map((event) => event.data.n), [1]);
  });

  it("it sees what this client commits", async () => {
    peer.tell({ subscribe: 'topic=ftrack.update and data.pushToken="' + topic + '"' });
    await peer.expect("subscribed");
    await shared.session.create("Folder", { name: topic, parent_id: shared.project.id }, { pushToken: topic });
    const { event } = await peer.expect("event");
    assert.equal(event.data.entities[0].changes.name.new, topic);
    assert.equal(event.data.clientToken, shared.session.clientToken);
  });
});

describe("ftrack.update", () => {
  it("names the session, the user and both values of what changed", async () => {
    const session = await open({ clientToken: `clients--${unique()}`, autoConnectEventHub: true });
    hubs.push(session.eventHub);
    const events = await listen(session.eventHub, "topic=ftrack.update");
    const mine = () => events.filter((event) => event.data.clientToken === session.clientToken);
    const { data: task } = await session.create("Task", { name: unique(), parent_id: shared.project.id });
    await session.update("Task", [task.id], { bid: 90 }, { pushToken: "my push" });
    await session.delete("Task", [task.id]);
    await until(() => mine().length === 3);
    const [added, updated, removed] = mine().map((event) => event.data.entities.find((each) => each.entityId === task.id));
    assert.deepEqual([added.action, updated.action, removed.action], ["add", "update", "remove"]);
    assert.deepEqual([updated.entityType, updated.entity_type], ["task", "Task"]);
    assert.deepEqual(updated.changes, { bid: { old: 0, new: 90 } });
    assert.deepEqual(updated.keys, ["bid"]);
    assert.deepEqual(updated.parents.map((each) => each.entityType), ["task", "show"]);
    assert.equal(mine()[1].data.pushToken, "my push");
    assert.equal(mine()[0].data.pushToken, null);
    assert.deepEqual(mine()[0].data.user, { userid: shared.me.id, name: user });
  });

  it("tells of an upload that its location was filled", async () => {
    const session = await open({ autoConnectEventHub: true });
    hubs.push(session.eventHub);
    const events = await listen(session.eventHub, "topic=ftrack.location.component-added");
    const [component] = await session.createComponent(Object.assign(new Blob(["x"]), { name: "x.txt" }));
    shared.created.push(["FileComponent", [component.data.id]]);
    const added = { component_id: component.data.id, location_id: ftrack.SERVER_LOCATION_ID };
    await until(() => events.some((event) => event.data.component_id === added.component_id));
    assert.deepEqual(events.find((event) => event.data.component_id === added.component_id).data, added);
    assert.equal((await rows(session, `select id from ComponentLocation where component_id is "${component.data.id}"`)).length, 1);
  });
});

/** Another process with the Python hub. */
async function startPeer() {
  const script = fileURLToPath(new URL("../python/peer.py", import.meta.url));
  const child = spawn(process.env.FTRACK_CLIENTS_PYTHON, [script], { stdio: ["pipe", "pipe", "inherit"] });
  const said = [];
  readline.createInterface({ input: child.stdout }).on("line", (line) => said.push(JSON.parse(line)));
  const peer = {
    tell: (order) => child.stdin.write(`${JSON.stringify(order)}\n`),
    expect: async (kind) => {
      await until(() => said.some((each) => kind in each), `the other process saying "${kind}"`);
      return said.splice(said.findIndex((each) => kind in each), 1)[0];
    },
    end: () =>
      new Promise((resolve) => {
        child.on("exit", resolve);
        child.stdin.end();
      }),
  };
  await peer.expect("ready");
  return peer;
}
