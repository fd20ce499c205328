// Sessions, schemas, raw calls, errors and dates.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { moment } from "./client.mjs";
import { ftrack, key, open, rows, server, studio, unique, user } from "./support.mjs";

const { operation, error } = ftrack;
const shared = studio();

describe("a session", () => {
  it("starts with one request for server information and schemas", async () => {
    const fetched = [];
    const original = globalThis.fetch;
    globalThis.fetch = (url, options) => (fetched.push(JSON.parse(options.body)), original(url, options));
    const session = await open().finally(() => (globalThis.fetch = original));
    assert.equal(fetched.length, 1);
    assert.deepEqual(fetched[0].map((each) => each.action), ["query_server_information", "query_schemas"]);
    assert.equal(session.initialized, true);
  });

  it("knows version, hash and schemas", async () => {
    const session = await open();
    assert.match(session.serverVersion, /^(dev|\d+\.\d+\.\d+)/);
    assert.equal(await session.getServerVersion(), session.serverVersion);
    assert.match((await session.getServerInformation()).schema_hash, /^[0-9a-f]{32}$/);
    assert.deepEqual(await session.getSchemas(), session.schemas);
    assert.ok(session.schemas.length >= 100);
    assert.equal(session.getSchema("Task").id, "Task");
    assert.equal(session.getSchema("Nonsense"), null);
  });

  it("takes only the values of the server information that it asked for", async () => {
    const session = await open({ serverInformationValues: ["schema_hash"] });
    assert.match(session.serverInformation.schema_hash, /^[0-9a-f]{32}$/);
    assert.equal(typeof session.serverInformation.is_timezone_support_enabled, "boolean");
  });

  it("knows keys of entities", async () => {
    assert.deepEqual(shared.session.getPrimaryKeyAttributes("Task"), ["id"]);
    assert.deepEqual(shared.session.getPrimaryKeyAttributes("Metadata"), ["parent_id", "key"]);
    assert.equal(shared.session.getIdentifyingKey({ __entity_type__: "Task", id: "x" }), "Task,x");
  });

  it("is refused with a wrong key", async () => {
    for (const strictApi of [false, true]) {
      const session = new ftrack.Session(server, user, "wrong", { strictApi });
      await assert.rejects(session.initializing, (reason) => {
        assert.ok(reason instanceof error.ServerError, String(reason));
        assert.match(reason.message, /API key/);
        return true;
      });
    }
  });

  it("needs all its arguments", () => {
    assert.throws(() => new ftrack.Session(server, user, ""), /Invalid arguments/);
  });
});

describe("a call", () => {
  it("replies in the order of its operations", async () => {
    const [users, statuses, nothing] = await shared.session.call([
      operation.query("select username from User limit 1"),
      operation.query("select name from Status limit 2"),
      operation.query('select name from Task where id is "nobody"'),
    ]);
    assert.equal(users.data[0].__entity_type__, "User");
    assert.equal(statuses.data.length, 2);
    assert.equal(statuses.metadata.next.offset, 2);
    assert.deepEqual(nothing.data, []);
  });

  it("is all or nothing", async () => {
    const name = unique("half");
    const folder = operation.create("Folder", { name, parent_id: shared.project.id });
    await assert.rejects(shared.session.call([folder, operation.query("select x from Nonsense")]));
    assert.deepEqual(await rows(shared.session, `select id from Folder where name is "${name}"`), []);
  });

  it("raises the error of its kind", async () => {
    const broken = operation.update("Task", ["nobody"], { name: 5 });
    await assert.rejects(shared.session.call([broken]), (reason) => {
      assert.ok(reason instanceof error.ServerValidationError || reason instanceof error.ServerError);
      return true;
    });
    const unnamed = operation.create("Appointment", { type: "assignment" });
    await assert.rejects(shared.session.call([unnamed]), (reason) => reason instanceof error.ServerValidationError);
    await assert.rejects(shared.session.call([{ action: "make_coffee" }]), /Invalid action u'make_coffee'/);
  });

  it("raises the same error in strict mode", async () => {
    const strict = await open({ strictApi: true });
    const messages = [];
    for (const session of [shared.session, strict]) {
      await session.query("select nonsense from Task").catch((reason) => messages.push(reason.message));
    }
    assert.equal(messages.length, 2);
    assert.equal(messages[0], messages[1]);
    assert.match(messages[0], /nonsense/);
  });

  it("can be aborted", async () => {
    const aborter = new AbortController();
    const running = shared.session.query("select name from Task", { signal: aborter.signal });
    aborter.abort();
    await assert.rejects(running, /aborted/);
  });

  it("merges what occurs twice into one object", async () => {
    const [reply] = await shared.session.call([
      operation.query("select name, project_schema.name from Project limit 50"),
    ]);
    const schemas = new Map();
    for (const { project_schema: schema } of reply.data) {
      assert.equal(typeof schema.name, "string");
      if (schemas.has(schema.id)) assert.equal(schemas.get(schema.id), schema);
      schemas.set(schema.id, schema);
    }
  });

  it("repeats entities in full where the reply must be serializable", async () => {
    await shared.session.create("Folder", { name: unique(), parent_id: shared.project.id });
    await shared.session.create("Folder", { name: unique(), parent_id: shared.project.id });
    const expression = `select name, project.name, project.full_name from Folder where project_id is "${shared.project.id}"`;
    const reply = await shared.session.query(expression, { ensureSerializableResponse: true });
    assert.ok(reply.data.length >= 2);
    for (const folder of reply.data) {
      assert.equal(folder.project.full_name, shared.project.full_name);
      assert.equal("context_type" in folder, false, "strict replies hold only what was asked for");
    }
    assert.notEqual(reply.data[0].project, reply.data[1].project);
  });
});

describe("dates", () => {
  it("are moments in UTC, or ISO texts where that is wanted", async () => {
    const when = moment.utc("2026-03-04T05:06:07Z");
    const name = unique();
    const created = await shared.session.create("Task", { name, parent_id: shared.project.id, start_date: when });
    const expression = `select start_date from Task where id is "${created.data.id}"`;
    const [task] = await rows(shared.session, expression);
    assert.ok(moment.isMoment(task.start_date));
    assert.equal(task.start_date.toISOString(), "2026-03-04T05:06:07.000Z");
    const iso = await shared.session.query(expression, { decodeDatesAsIso: true });
    assert.equal(iso.data[0].start_date, "2026-03-04T05:06:07.000Z");
    const session = await open({ decodeDatesAsIso: true });
    assert.equal((await rows(session, expression))[0].start_date, "2026-03-04T05:06:07.000Z");
  });

  it("may be given as Date, moment or text", async () => {
    const name = unique();
    const { data: task } = await shared.session.create("Task", { name, parent_id: shared.project.id });
    for (const given of [new Date("2026-01-02T03:04:05.678Z"), moment.utc("2026-01-02T03:04:05Z"), "2026-01-02T05:04:05+02:00"]) {
      await shared.session.update("Task", [task.id], { start_date: given });
      const [seen] = await rows(shared.session, `select start_date from Task where id is "${task.id}"`);
      assert.equal(seen.start_date.unix(), Date.UTC(2026, 0, 2, 3, 4, 5) / 1000);
    }
  });
});

describe("the query template", () => {
  it("escapes quotes", async () => {
    const name = `it's "${unique()}"`;
    await shared.session.create("Folder", { name, parent_id: shared.project.id });
    const expression = ftrack.expression`select name from Folder where name is "${name}"`;
    assert.deepEqual((await rows(shared.session, expression)).map((row) => row.name), [name]);
  });
});

describe("two sessions at once", () => {
  it("do not disturb each other", async () => {
    const sessions = await Promise.all(Array.from({ length: 8 }, () => open()));
    const names = await Promise.all(
      sessions.map(async (session) => {
        const name = unique();
        await session.create("Folder", { name, parent_id: shared.project.id });
        return name;
      }),
    );
    const found = await rows(shared.session, `select name from Folder where name in (${names.join(", ")})`);
    assert.deepEqual(found.map((row) => row.name).sort(), names.sort());
  });

  it("use their own credentials", () => assert.notEqual(key, ""));
});
