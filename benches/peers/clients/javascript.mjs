// The official JavaScript client as a contender: written as its users write.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { PEERS_NODE, PEERS_WORK, FTRACK_SERVER, FTRACK_API_USER, FTRACK_API_KEY } = process.env;
const { Session, operation } = createRequire(join(PEERS_NODE, "package.json"))("@ftrack/api");

const report = { times: {}, peak: null, seen: null };

/** Notes what `work` costs, in milliseconds. */
async function step(name, work) {
  const [wall, cpu] = [performance.now(), process.cpuUsage()];
  const result = await work();
  const used = process.cpuUsage(cpu);
  report.times[name] = { cpu: (used.user + used.system) / 1e3, wall: performance.now() - wall };
  return result;
}

/** The most memory so far, in bytes, where the system tells in a file. */
function peak() {
  try {
    return 1024 * /VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1];
  } catch {
    return null;
  }
}

/** All pages: the client leaves paging to its caller. */
async function all(session, projections, count) {
  const tasks = [];
  while (tasks.length < count) {
    const page = await session.query(`${projections} offset ${tasks.length} limit 500`);
    tasks.push(...page.data);
  }
  return tasks;
}

function touch(tasks) {
  let [sum, texts] = [0, 0];
  for (const task of tasks) {
    // Something is done with each value, or the compiler would leave the reading out.
    texts += task.name.length + task.description.length + task.status.name.length;
    texts += task.status.color.length + task.type.name.length + task.priority.name.length;
    texts += task.project.full_name.length + task.parent.name.length;
    const dates = [task.start_date, task.end_date, task.created_at];
    sum += dates.includes(undefined) ? Number.NaN : task.bid + task.sort;
  }
  return texts > 0 ? sum : null;
}

async function users(session, count) {
  const projections = process.env.PEERS_QUERY.replace(/ limit \d+$/, "");
  const tasks = await step("query", () => all(session, projections, count));
  report.peak = peak();
  if (tasks.length !== count) throw new Error(`${tasks.length} tasks came`);
}

async function work(session, count) {
  const { ids, parent_id, status_id, type_id } = JSON.parse(readFileSync(PEERS_WORK, "utf8"));
  const projections = process.env.PEERS_QUERY.replace(/ limit \d+$/, "");
  const tasks = await step("query", () => all(session, projections, count));
  report.peak = peak();
  if (tasks.length !== count) throw new Error(`${tasks.length} tasks came`);
  report.seen = await step("touch", () => touch(tasks));
  await step("update", () =>
    session.call(
      tasks.slice(0, ids.length).map((task) => operation.update("Task", [task.id], { bid: 7 })),
    ),
  );
  await step("create", () =>
    session.call(
      ids.map((id, number) =>
        operation.create("Task", {
          id,
          name: `task_${number}`,
          description: "made by a benchmark",
          bid: 3600,
          parent_id,
          status_id,
          type_id,
        }),
      ),
    ),
  );
}

const [scenario, count] = [process.argv[2], Number(process.argv[3])];
const session = await step("open", async () => {
  const opening = new Session(FTRACK_SERVER, FTRACK_API_USER, FTRACK_API_KEY, {
    autoConnectEventHub: false,
  });
  await opening.initializing;
  return opening;
});
if (scenario === "work") await work(session, count);
else if (scenario === "users") await users(session, count);
else if (scenario !== "start") throw new Error(`there is no scenario ${scenario}`);
console.log(JSON.stringify(report));
