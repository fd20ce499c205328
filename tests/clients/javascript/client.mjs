// The official JavaScript client, as it was installed outside of the source tree, and what it
// expects of a browser.
import { createRequire } from "node:module";
import { join } from "node:path";

import { XMLHttpRequest } from "./xml_http_request.mjs";

const home = process.env.FTRACK_CLIENTS_NODE;
if (!home) throw new Error("FTRACK_CLIENTS_NODE is not set: run tests/clients/run");
const require = createRequire(join(home, "package.json"));

globalThis.XMLHttpRequest = XMLHttpRequest;
// The multi-part upload asks whether the browser is online. It has no socket to the event server
// to revive, so that `addEventListener` has nothing to do.
globalThis.window = { navigator: { onLine: true }, addEventListener() {}, removeEventListener() {} };

// Every publication sets a timer of many seconds that it never clears: a browser does not wait
// for it, and neither shall the end of the tests.
const { setTimeout: start } = globalThis;
globalThis.setTimeout = (work, ms, ...rest) => {
  const timer = start(work, ms, ...rest);
  return ms >= 10_000 ? timer.unref() : timer;
};

export const ftrack = require("@ftrack/api");
export const moment = require("moment");
// Refused calls are looked at by the tests; they need no warning on the console.
require("loglevel").setDefaultLevel("silent");
require("loglevel").getLogger("ftrack_api").setLevel("silent");
