// As much of the browser's XMLHttpRequest as uploads use, over Node's HTTP client.
import http from "node:http";
import https from "node:https";

export class XMLHttpRequest extends EventTarget {
  upload = new EventTarget();
  readyState = 0;
  status = 0;
  response = "";
  timeout = 0;
  #headers = {};
  #responseHeaders = {};
  #sending = null;
  #method = "GET";
  #url = "";

  open(method, url) {
    this.#method = method;
    this.#url = url;
    this.#state(1);
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  getResponseHeader(name) {
    return this.#responseHeaders[name.toLowerCase()] ?? null;
  }

  abort() {
    const sending = this.#sending;
    if (sending === null) return;
    this.#sending = null;
    sending.request?.destroy();
    this.#end("abort");
  }

  async send(body) {
    // What `abort` has taken away is not ours any more.
    const sending = (this.#sending = { request: null });
    const isOurs = () => this.#sending === sending;
    const data = Buffer.from(await body.arrayBuffer());
    if (!isOurs()) return;
    const { request } = new URL(this.#url).protocol === "https:" ? https : http;
    const headers = { ...this.#headers, "Content-Length": data.length };
    sending.request = request(this.#url, { method: this.#method, headers });
    sending.request.on("error", () => isOurs() && this.#end("error"));
    sending.request.on("response", async (response) => {
      const parts = [];
      for await (const part of response) parts.push(part);
      if (!isOurs()) return;
      this.status = response.statusCode;
      this.#responseHeaders = response.headers;
      this.response = Buffer.concat(parts).toString();
      this.#state(4);
      this.#end("load");
    });
    sending.request.end(data, () => isOurs() && this.#progress(data.length));
  }

  #end(how) {
    this.#sending = null;
    this.#tell(how);
    this.#tell("loadend");
  }

  #progress(loaded) {
    const progress = new Event("progress");
    Object.assign(progress, { lengthComputable: true, loaded, total: loaded });
    this.upload.dispatchEvent(progress);
  }

  #state(state) {
    this.readyState = state;
    this.#tell("readystatechange");
  }

  #tell(name) {
    const event = new Event(name);
    this[`on${name}`]?.(event);
    this.dispatchEvent(event);
  }
}
