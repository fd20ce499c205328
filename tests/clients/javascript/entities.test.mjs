// Queries, searches, creating, changing, deleting, ensuring, custom attributes, notes, workflow.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { ftrack, key, kind, needs, rows, server, studio, unique, user } from "./support.mjs";

const { operation, error, projectSchema } = ftrack;
const [SHOT, SEQUENCE] = [kind("Shot"), kind("Sequence")];
const shared = studio();
const parent = () => ({ parent_id: shared.project.id });
const make = async (type, data) => (await shared.session.create(type, data)).data;
const one = async (expression) => {
  const found = await rows(shared.session, expression);
  assert.equal(found.length, 1, expression);
  return found[0];
};
const names = async (expression) => (await rows(shared.session, expression)).map((row) => row.name);

describe("queries", needs("Shot"), () => {
  const tasks = {};
  let shot;
  before(async () => {
    shot = await make(SHOT, { name: unique("sh"), ...parent() });
    const rowsOf = [["alpha", 1, "2026-01-10"], ["beta", 2, "2026-02-10"], ["Gamma", 3, null], ["delta", 4.5, "2026-04-10"]];
    for (const [name, bid, start] of rowsOf) {
      const start_date = start && new Date(`${start}T08:00:00Z`);
      tasks[name] = await make("Task", { name, bid, start_date, parent_id: shot.id });
    }
    await make("Timelog", { context_id: tasks.alpha.id, user_id: shared.me.id, duration: 60, start: new Date() });
    await make("Metadata", { parent_id: tasks.beta.id, parent_type: "Task", key: "grade", value: "B" });
  });
  const cases = {
    'name is "alpha"': ["alpha"],
    "name = 'alpha'": ["alpha"],
    'name is_not "alpha"': ["beta", "Gamma", "delta"],
    'name != "alpha" and name != "beta"': ["Gamma", "delta"],
    'name is "GAMMA"': ["Gamma"],
    "bid > 2": ["Gamma", "delta"],
    "bid >= 2 and bid < 4": ["beta", "Gamma"],
    "bid <= 1 or bid greater_than 4": ["alpha", "delta"],
    "name in (alpha, beta)": ["alpha", "beta"],
    "name not_in (alpha, beta)": ["Gamma", "delta"],
    'name like "%eta%"': ["beta"],
    'name not_like "%a"': [],
    "not (bid > 1)": ["alpha"],
    "start_date is none": ["Gamma"],
    'start_date after "2026-02-01" and start_date before "2026-03-01"': ["beta"],
    'start_date is "2026-01-10T08:00:00"': ["alpha"],
    "timelogs any (duration is 60)": ["alpha"],
    "not timelogs any ()": ["beta", "Gamma", "delta"],
    'metadata any (key is "grade" and value is "B")': ["beta"],
    "status has (id is_not none) and bid < 2": ["alpha"],
    "id in (select context_id from Timelog where duration is 60)": ["alpha"],
    [`parent[${SHOT}].name is_not "x" and bid is 1`]: ["alpha"],
    "(name is alpha or name is beta) and not (bid is 2)": ["alpha"],
  };
  for (const [criteria, expected] of Object.entries(cases)) {
    it(criteria, async () => {
      const where = `parent_id is "${shot.id}" and (${criteria})`;
      assert.deepEqual(await names(`select name from Task where ${where} order by bid`), expected);
    });
  }

  it("order, offset and limit", async () => {
    const base = `select name from Task where parent_id is "${shot.id}"`;
    assert.deepEqual(await names(`${base} order by bid descending limit 2`), ["delta", "Gamma"]);
    assert.deepEqual(await names(`${base} order by bid offset 1 limit 2`), ["beta", "Gamma"]);
    assert.deepEqual(await names(`${base} order by start_date desc limit 1`), ["delta"]);
  });

  it("announce a next page only if there is one", async () => {
    const base = `select name from Task where parent_id is "${shot.id}" order by bid`;
    const offsets = [];
    for (const limit of [1, 3, 4, 5]) {
      const { metadata } = await shared.session.query(`${base} limit ${limit}`);
      offsets.push(metadata.next?.offset ?? null);
    }
    assert.deepEqual(offsets, [1, 3, null, null]);
  });

  it("project through relations", async () => {
    const task = await one(
      `select name, parent.name, parent.parent.id, status.state.short, timelogs.duration, link from Task where id is "${tasks.alpha.id}"`,
    );
    assert.equal(task.parent.name, shot.name);
    assert.equal(task.parent.parent.id, shared.project.id);
    assert.deepEqual(task.timelogs.map((log) => log.duration), [60]);
    assert.deepEqual(task.link.map((step) => step.id), [shared.project.id, shot.id, tasks.alpha.id]);
    assert.match(task.status.state.short, /^[A-Z_]+$/);
  });

  it("reply with what was asked for, the key and the system attributes", async () => {
    const task = await one(`select name from Task where id is "${tasks.alpha.id}"`);
    const expected = ["__entity_type__", "context_type", "id", "name", "object_type_id", "project_id"];
    assert.deepEqual(Object.keys(task).sort(), expected);
  });

  it("searches find words within a project", async () => {
    const word = unique("needle");
    await make("Task", { name: `first ${word}`, parent_id: shot.id });
    await make("Task", { name: "hay", parent_id: shot.id });
    const { data } = await shared.session.search({
      expression: "select name from Task",
      entityType: "Task",
      terms: [word.toUpperCase(), "first"],
      contextId: shared.project.id,
    });
    assert.deepEqual(data.map((task) => task.name), [`first ${word}`]);
    const nothing = await shared.session.search({ expression: "select name from Task", entityType: "Task", terms: [word, "absent"] });
    assert.deepEqual(nothing.data, []);
    const typed = await shared.session.search({
      expression: "select name from TypedContext",
      entityType: "TypedContext",
      terms: [word],
      objectTypeIds: [shot.object_type_id],
    });
    assert.deepEqual(typed.data, []);
  });
});

describe("creating", () => {
  it("replies with what the server made of it", async () => {
    const name = unique();
    const task = await make("Task", { name, ...parent() });
    assert.equal(task.__entity_type__, "Task");
    assert.equal(task.name, name);
    assert.equal(task.bid, 0);
    assert.equal(task.context_type, "task");
    assert.equal(task.project_id, shared.project.id);
    assert.match(task.id, /^[0-9a-f-]{36}$/);
    assert.equal("thumbnail_id" in task, false, "what is not set is absent");
    const seen = await one(`select status_id, type_id, priority_id from Task where id is "${task.id}"`);
    assert.deepEqual([seen.status_id, seen.type_id, seen.priority_id], [task.status_id, task.type_id, task.priority_id]);
  });

  it("makes a tree in one request", needs("Sequence", "Shot"), async () => {
    const [sequence, shot, task] = [unique("sq"), unique("sh"), unique("t")].map((name) => ({ name, id: crypto.randomUUID() }));
    const replies = await shared.session.call([
      operation.create(SEQUENCE, { ...sequence, ...parent() }),
      operation.create(SHOT, { ...shot, parent_id: sequence.id }),
      operation.create("Task", { ...task, parent_id: shot.id }),
      operation.query(`select name from Task where ancestors.id is "${sequence.id}"`),
    ]);
    assert.deepEqual(replies.map((reply) => reply.action), ["create", "create", "create", "query"]);
    assert.deepEqual(replies[3].data.map((row) => row.name), [task.name]);
  });

  it("numbers versions", async () => {
    const asset = await make("Asset", { name: unique(), context_id: shared.project.id });
    const versions = [];
    for (let n = 0; n < 3; n += 1) versions.push((await make("AssetVersion", { asset_id: asset.id })).version);
    assert.deepEqual(versions, [1, 2, 3]);
  });

  it("refuses a second one of the same name", needs("Shot"), async () => {
    const name = unique();
    await make(SHOT, { name, ...parent() });
    await assert.rejects(make(SHOT, { name, ...parent() }), (reason) => reason instanceof error.ServerError);
  });

  it("keeps every character", async () => {
    const description = "\"double\" 'single' back\\slash\n\t ünï 漢字 \u{1f600} <b> '; DROP TABLE context; --";
    const task = await make("Task", { name: unique(), description, ...parent() });
    assert.equal((await one(`select description from Task where id is "${task.id}"`)).description, description);
  });
});

describe("changing", () => {
  it("takes the key as a list or as a text", async () => {
    const task = await make("Task", { name: unique(), ...parent() });
    for (const [keys, bid] of [[[task.id], 10], [task.id, 20]]) {
      const reply = await shared.session.update("Task", keys, { bid });
      assert.deepEqual([reply.action, reply.data.bid, reply.data.id], ["update", bid, task.id]);
      assert.equal((await one(`select bid from Task where id is "${task.id}"`)).bid, bid);
    }
  });

  it("replies with the key, the system attributes and what was sent", async () => {
    const task = await make("Task", { name: unique(), ...parent() });
    const { data } = await shared.session.update("Task", [task.id], { description: "x" });
    assert.deepEqual(Object.keys(data).sort(), ["__entity_type__", "context_type", "description", "id", "object_type_id", "project_id"]);
  });

  it("sets and clears references", async () => {
    const task = await make("Task", { name: unique(), ...parent() });
    const statuses = await projectSchema.getStatuses(shared.session, shared.schema.id, "Task");
    await shared.session.update("Task", [task.id], { status_id: statuses[1].id, description: null });
    const seen = await one(`select status.name, description from Task where id is "${task.id}"`);
    assert.deepEqual([seen.status.name, seen.description], [statuses[1].name, null]);
  });

  it("refuses unknown entities, attributes and wrong types", async () => {
    const task = await make("Task", { name: unique(), ...parent() });
    for (const [keys, data] of [[["nobody"], { name: "x" }], [[task.id], { nonsense: 1 }], [[task.id], { bid: "much" }], [[task.id], { status_id: "nobody" }]]) {
      await assert.rejects(shared.session.update("Task", keys, data), (reason) => {
        assert.ok(reason instanceof error.ServerValidationError || reason instanceof error.ServerError, String(reason));
        return true;
      });
    }
    assert.equal((await one(`select bid from Task where id is "${task.id}"`)).bid, 0);
  });

  it("sets collections as a whole", async () => {
    const scopes = [];
    for (let n = 0; n < 2; n += 1) {
      scopes.push(await make("Scope", { name: unique("scope") }));
      shared.created.push(["Scope", [scopes[n].id]]);
    }
    const task = await make("Task", { name: unique(), ...parent() });
    const reference = ({ id }) => ({ __entity_type__: "Scope", id });
    for (const set of [[scopes[0]], scopes, [scopes[1]], []]) {
      await shared.session.update("Task", [task.id], { scopes: set.map(reference) });
      const seen = await one(`select scopes.name from Task where id is "${task.id}"`);
      assert.deepEqual(seen.scopes.map((scope) => scope.name).sort(), set.map((scope) => scope.name).sort());
    }
  });
});

describe("deleting", () => {
  it("replies true and takes along what hangs below", needs("Shot"), async () => {
    const shot = await make(SHOT, { name: unique(), ...parent() });
    const task = await make("Task", { name: "anim", parent_id: shot.id });
    const reply = await shared.session.delete(SHOT, [shot.id]);
    assert.deepEqual(reply, { action: "delete", data: true });
    assert.deepEqual(await rows(shared.session, `select id from TypedContext where id in ("${shot.id}", "${task.id}")`), []);
  });

  it("of what is gone is no error, and takes a bare key", async () => {
    const folder = await make("Folder", { name: unique(), ...parent() });
    for (let n = 0; n < 2; n += 1) assert.equal((await shared.session.delete("Folder", folder.id)).data, true);
  });

  it("works with keys of several values", async () => {
    const task = await make("Task", { name: unique(), ...parent() });
    await make("Metadata", { parent_id: task.id, parent_type: "Task", key: "k", value: "v" });
    await shared.session.update("Metadata", [task.id, "k"], { value: "w" });
    const expression = `select value from Metadata where parent_id is "${task.id}"`;
    assert.deepEqual((await rows(shared.session, expression)).map((row) => row.value), ["w"]);
    await shared.session.delete("Metadata", [task.id, "k"]);
    assert.deepEqual(await rows(shared.session, expression), []);
  });
});

describe("ensuring", () => {
  it("creates, finds and changes", async () => {
    const username = unique("user");
    const created = await shared.session.ensure("User", { username });
    shared.created.push(["User", [created.id]]);
    assert.equal((await shared.session.ensure("User", { username })).id, created.id);
    const email = `${username}@example.com`;
    const changed = await shared.session.ensure("User", { username, email }, ["username"]);
    assert.equal(changed.id, created.id);
    assert.equal((await one(`select email from User where id is "${created.id}"`)).email, email);
  });

  it("refuses what is not unique", async () => {
    for (let n = 0; n < 2; n += 1) await make("Asset", { name: "ensured", context_id: shared.project.id });
    const data = { name: "ensured", context_id: shared.project.id };
    await assert.rejects(shared.session.ensure("Asset", data), /multiple/);
    assert.throws(() => shared.session.ensure("Asset", {}), /identifying data/);
  });
});

describe("custom attributes", () => {
  const configure = async (kind, entityType, extra = {}) => {
    const type = await one(`select id from CustomAttributeType where name is "${kind}"`);
    const name = unique("key").toLowerCase();
    const created = await make("CustomAttributeConfiguration", {
      key: name, label: name, type_id: type.id, entity_type: entityType, config: "{}", core: false,
      project_id: shared.project.id, ...extra,
    });
    shared.created.push(["CustomAttributeConfiguration", [created.id]]);
    return created;
  };

  for (const [kind, values] of Object.entries({
    text: ["some", "[1, 2]", ""], number: [5, 2.5, 0], boolean: [true, false], enumerator: [["a"], ["a", "b"]],
  })) {
    it(`${kind} values are read as they were written`, async () => {
      // A menu needs its entries, which are JSON inside of JSON.
      const entries = JSON.stringify(["a", "b"].map((word) => ({ menu: word, value: word })));
      const config = kind === "enumerator" ? JSON.stringify({ multiSelect: true, data: entries }) : "{}";
      const configuration = await configure(kind, "show", { config });
      for (const value of values) {
        await shared.session.update("ContextCustomAttributeValue", [configuration.id, shared.project.id], { value });
        const project = await one(`select custom_attributes from Project where id is "${shared.project.id}"`);
        const found = project.custom_attributes.find((each) => each.key === configuration.key);
        assert.deepEqual(found.value, value);
      }
    });
  }

  it("are found in queries", async () => {
    const configuration = await configure("number", "show");
    await shared.session.update("ContextCustomAttributeValue", [configuration.id, shared.project.id], { value: 12 });
    const expression = `select name from Project where custom_attributes any (key is "${configuration.key}" and value > 11)`;
    assert.deepEqual(await names(expression), [shared.project.name]);
  });

  it("inherited ones are stored where they are written", needs("Shot"), async () => {
    const configuration = await configure("number", "show", { is_hierarchical: true });
    const shot = await make(SHOT, { name: unique(), ...parent() });
    await shared.session.update("ContextCustomAttributeValue", [configuration.id, shot.id], { value: 3 });
    const stored = await rows(shared.session, `select entity_id, value from CustomAttributeValue where configuration_id is "${configuration.id}"`);
    assert.deepEqual(stored.map(({ entity_id, value }) => [entity_id, value]), [[shot.id, 3]]);
  });

  it("wrong types are validation errors", async () => {
    const configuration = await configure("number", "show");
    const wrong = shared.session.update("ContextCustomAttributeValue", [configuration.id, shared.project.id], { value: "text" });
    await assert.rejects(wrong, (reason) => reason instanceof error.ServerValidationError && reason.message.includes(configuration.key));
  });
});

describe("collaboration", () => {
  it("notes with recipients, labels and replies", async () => {
    const task = await make("Task", { name: unique(), ...parent() });
    const label = await make("NoteLabel", { name: unique("label"), color: "#00ff00" });
    shared.created.push(["NoteLabel", [label.id]]);
    const id = crypto.randomUUID();
    await shared.session.call([
      operation.create("Note", { id, content: "hello", parent_id: task.id, parent_type: "Task", user_id: shared.me.id }),
      operation.create("NoteLabelLink", { note_id: id, label_id: label.id }),
      operation.create("Note", { content: "reply", in_reply_to_id: id, parent_id: task.id, parent_type: "Task", user_id: shared.me.id }),
    ]);
    const note = await one(
      `select content, author.username, category.name, note_label_links.label.name, replies.content, recipients.resource_id from Note where id is "${id}"`,
    );
    assert.deepEqual([note.content, note.author.username, note.category.name], ["hello", user, label.name]);
    assert.deepEqual(note.note_label_links.map((link) => link.label.name), [label.name]);
    assert.deepEqual(note.replies.map((reply) => reply.content), ["reply"]);
    assert.deepEqual(note.recipients.map((each) => each.resource_id), [shared.me.id]);
    assert.deepEqual((await one(`select notes.content from Task where id is "${task.id}"`)).notes.map((each) => each.content), ["hello"]);
  });

  it("review sessions", async () => {
    const asset = await make("Asset", { name: unique(), context_id: shared.project.id });
    const version = await make("AssetVersion", { asset_id: asset.id });
    const review = await make("ReviewSession", {
      name: "dailies", description: "", project_id: shared.project.id, start_date: new Date(), end_date: new Date(),
    });
    await make("ReviewSessionObject", { review_session_id: review.id, version_id: version.id, name: "v", version: "1", description: "" });
    const guest = await make("ReviewSessionInvitee", { review_session_id: review.id, name: "Ada", email: "ada@example.com" });
    const [reply] = await shared.session.call([{ action: "send_review_session_invite", review_session_invitee_id: guest.id }]);
    assert.equal(reply.sent, true);
    const seen = await one(
      `select review_session_objects.asset_version.version, review_session_invitees.email, created_by.username from ReviewSession where id is "${review.id}"`,
    );
    assert.deepEqual(seen.review_session_objects.map((each) => each.asset_version.version), [1]);
    assert.deepEqual(seen.review_session_invitees.map((each) => each.email), ["ada@example.com"]);
    assert.equal(seen.created_by.username, user);
  });

  it("widgets, invitations, jobs and keys", async () => {
    const username = unique("user");
    const worker = await make("User", { username, is_active: true });
    shared.created.push(["User", [worker.id]]);
    const [widget, invited, job, reset] = await shared.session.call([
      { action: "get_widget_url", name: "tasks", theme: "light" },
      { action: "send_user_invite", user_id: worker.id },
      { action: "delayed_job", job_type: "SYNC_USERS_LDAP" },
      { action: "reset_remote", reset_type: "api_key", entity_type: "User", entity_key: worker.id },
    ]);
    shared.created.push(["Job", [job.data.id]]);
    assert.equal((await fetch(widget.widget_url)).status, 200);
    assert.equal(invited.sent, true);
    assert.equal(job.data.__entity_type__, "Job");
    const session = new ftrack.Session(server, username, reset.data.api_key);
    await session.initializing;
    assert.equal((await rows(session, `select id from User where username is "${username}"`))[0].id, worker.id);
    assert.notEqual(reset.data.api_key, key);
  });
});

describe("the workflow helpers", () => {
  const statuses = async (type, typeId) =>
    (await projectSchema.getStatuses(shared.session, shared.schema.id, type, typeId)).map((status) => status.name).sort();

  it("know the statuses of tasks, versions and other kinds", needs("Shot"), async () => {
    const found = {};
    for (const type of ["Task", "AssetVersion", SHOT, "AssetBuild"]) found[type] = await statuses(type);
    for (const list of Object.values(found)) assert.ok(list.length > 0);
    if (shared.schema.name === "VFX Scheme") {
      assert.deepEqual(found, {
        Task: ["Approved", "Awaiting approval", "In progress", "Not started"],
        AssetVersion: ["Approved", "Pending"],
        [SHOT]: ["Normal", "Omitted", "On Hold"],
        AssetBuild: ["Normal", "Omitted", "On Hold"],
      });
    }
  });

  it("know the workflow of a type of its own", async () => {
    const expression = `select type_id, workflow_schema.statuses.name from ProjectSchemaOverride where project_schema_id is "${shared.schema.id}"`;
    for (const override of await rows(shared.session, expression)) {
      const expected = override.workflow_schema.statuses.map((status) => status.name).sort();
      assert.deepEqual(await statuses("Task", override.type_id), expected);
    }
    assert.deepEqual(await statuses("Task", "no such type"), await statuses("Task"));
  });
});
