// What the tests of the JavaScript client share: sessions, a project of their own, cleaning up.
//
// The session is opened from FTRACK_SERVER, FTRACK_API_USER and FTRACK_API_KEY, so that the tests
// can be pointed at any server.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before } from "node:test";

import { ftrack } from "./client.mjs";

export { ftrack };
export const { FTRACK_SERVER: server, FTRACK_API_USER: user, FTRACK_API_KEY: key } = process.env;
assert.ok(server && user && key, "FTRACK_SERVER, FTRACK_API_USER and FTRACK_API_KEY must be set");

/** A session that is ready. */
export async function open(options = {}) {
  const session = new ftrack.Session(server, user, key, options);
  await session.initializing;
  return session;
}

// Kinds of objects that sites rename or do without, with the ids that they keep.
const KINDS = {
  Sequence: "e5139355-61da-4c8f-9db4-3abc870166bc",
  Shot: "bad911de-3bd6-47b9-8b46-3476e237cb36",
};
const { schemas } = await open();

/** What the site calls a kind of objects; undefined where it has none. */
export function kind(name) {
  if (schemas.some((schema) => schema.id === name)) return name;
  return schemas.find((schema) => schema.properties.object_type_id?.default === KINDS[name])?.id;
}

/** The options of tests that need these kinds of objects. */
export function needs(...names) {
  const missing = names.filter((name) => kind(name) === undefined);
  return { skip: missing.length > 0 && `the schema has no ${missing.join(" and no ")}` };
}

/** A name that no other test and no other run uses. */
export const unique = (prefix = "clients") => `${prefix}_${randomUUID().replaceAll("-", "").slice(0, 12)}`;

export const sleep = (ms) => new Promise((resume) => setTimeout(resume, ms));

/** The first true result of `condition`; fails when none comes in time. */
export async function until(condition, what = "the condition", seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const result = await condition();
    if (result) return result;
    assert.ok(Date.now() < end, `${what} never came true`);
    await sleep(20);
  }
}

/**
 * A session and a project for the tests of a file; both go away at the end. `prepare` makes what
 * the tests need. `created` takes what does not go away together with the project, as
 * [type, keys].
 */
export function studio(prepare = () => {}) {
  const shared = { created: [] };
  before(async () => {
    const session = await open();
    shared.session = session;
    const schemas = await session.query("select id, name from ProjectSchema order by name descending limit 1");
    shared.schema = schemas.data[0];
    const users = await session.query(`select id, username from User where username is "${user}"`);
    shared.me = users.data[0];
    const name = unique();
    const project = { name, full_name: `${name} full`, project_schema_id: shared.schema.id };
    shared.project = (await session.create("Project", project)).data;
    await prepare(shared);
  });
  after(async () => {
    const operations = shared.created.map(([type, keys]) => ftrack.operation.delete(type, keys));
    operations.push(ftrack.operation.delete("Project", [shared.project.id]));
    await shared.session.call(operations);
  });
  return shared;
}

/** The rows of a query, as a session that has seen nothing yet gets them. */
export async function rows(session, expression) {
  return (await session.query(expression)).data;
}
