// Uploads in one part and in many, downloads, thumbnails.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { deflateSync, crc32 } from "node:zlib";

import { ftrack, open, rows, server, studio, unique } from "./support.mjs";

const { SERVER_LOCATION_ID, error } = ftrack;
const shared = studio(async ({ session, project }) => {
  const asset = await session.create("Asset", { name: "plate", context_id: project.id });
  version = (await session.create("AssetVersion", { asset_id: asset.data.id })).data;
});
let version;

const file = (data, name) => Object.assign(new Blob([data]), { name });
const upload = (data, name, options = {}) =>
  shared.session.createComponent(file(data, name), { ...options, data: { version_id: version.id, ...options.data } });
const download = async (id) => {
  const response = await fetch(shared.session.getComponentUrl(id));
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
};
/** Smaller parts than a real upload's, so that many of them are sent. */
const inParts = async (size, work) => {
  globalThis.window.FTRACK_UPLOAD_CHUNK_SIZE = size;
  try {
    return await work();
  } finally {
    delete globalThis.window.FTRACK_UPLOAD_CHUNK_SIZE;
  }
};
/** The part numbers that `work` was given addresses for; the client uses up its own list of them. */
const partsOf = async (work) => {
  const { session } = shared;
  const call = session.call;
  const numbers = [];
  session.call = async (...given) => {
    const replies = await call.apply(session, given);
    for (const { urls } of replies) numbers.push(...(urls ?? []).map((part) => part.part_number));
    return replies;
  };
  const done = await work().finally(() => (session.call = call));
  return [done, numbers];
};
const png = (width, height) => {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(checksum(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const pixels = Buffer.alloc(height * (1 + width * 3), 90);
  for (let y = 0; y < height; y += 1) pixels[y * (1 + width * 3)] = 0;
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(pixels)), chunk("IEND", Buffer.alloc(0))]);
};
/** Node.js has one of its own since version 20.15 only. */
function checksum(data) {
  if (crc32) return crc32(data);
  let sum = ~0;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1));
  }
  return ~sum >>> 0;
}

describe("an upload in one part", () => {
  it("comes back byte for byte", async () => {
    for (const [data, name] of [[Buffer.from("ünï\r\n"), "text.txt"], [randomBytes(200_001), "random.bin"], [Buffer.alloc(0), "empty.bin"]]) {
      const [component, location, metadata] = await upload(data, name);
      assert.deepEqual(await download(component.data.id), data);
      assert.equal(location.data.location_id, SERVER_LOCATION_ID);
      assert.equal(location.data.resource_identifier, component.data.id);
      assert.equal(metadata.component_id, component.data.id);
    }
  });

  it("is registered with name, type, size and version", async () => {
    const [{ data }] = await upload(Buffer.from("12345"), "the.name.exr", { data: { name: "main" } });
    const [seen] = await rows(
      shared.session,
      `select name, file_type, size, version.id, component_locations.location.name from FileComponent where id is "${data.id}"`,
    );
    assert.deepEqual([seen.name, seen.file_type, seen.size, seen.version.id], ["main", ".exr", 5, version.id]);
    assert.deepEqual(seen.component_locations.map((each) => each.location.name), ["ftrack.server"]);
  });

  it("tells its progress", async () => {
    const told = [];
    await upload(randomBytes(1000), "progress.bin", { onProgress: (percent) => told.push(percent) });
    assert.equal(told.at(-1), 100);
  });

  it("needs a name", async () => {
    await assert.rejects(shared.session.createComponent(new Blob(["x"])), (reason) => reason instanceof error.CreateComponentError);
  });

  it("stores nothing when it is aborted", async () => {
    const aborter = new AbortController();
    const id = crypto.randomUUID();
    const xhr = new XMLHttpRequest();
    const send = xhr.send.bind(xhr);
    xhr.send = (body) => {
      send(body);
      setImmediate(() => aborter.abort());
    };
    await new Promise((onAborted, reject) => {
      const data = { id, version_id: version.id };
      const options = { xhr, signal: aborter.signal, data, onAborted };
      shared.session.createComponent(file(randomBytes(5_000_000), "aborted.bin"), options).then(reject, reject);
    });
    assert.deepEqual(await rows(shared.session, `select id from ComponentLocation where component_id is "${id}"`), []);
    assert.ok((await fetch(shared.session.getComponentUrl(id))).status >= 400);
  });
});

describe("an upload in many parts", () => {
  it("comes back byte for byte", async () => {
    const data = randomBytes(1_000_003);
    const told = [];
    const options = { onProgress: (percent) => told.push(percent) };
    const uploading = () => inParts(150_000, () => upload(data, "parts.bin", options));
    const [[component, location, metadata], parts] = await partsOf(uploading);
    assert.deepEqual(parts.sort(), [1, 2, 3, 4, 5, 6, 7]);
    assert.match(metadata.upload_id, /./);
    assert.equal(location.action, "create");
    assert.deepEqual(await download(component.data.id), data);
    assert.ok(Math.max(...told) <= 100);
  });

  it("of the client's own part size", async () => {
    const data = randomBytes(17 << 20);
    const [[component], parts] = await partsOf(() => upload(data, "large.mov"));
    assert.deepEqual(parts.sort(), [1, 2, 3]);
    assert.equal(Buffer.compare(await download(component.data.id), data), 0);
  });

  it("two at once do not mix", async () => {
    const all = [randomBytes(400_000), randomBytes(500_000), randomBytes(600_000)];
    const uploaded = await inParts(90_000, () => Promise.all(all.map((data, n) => upload(data, `mix${n}.bin`))));
    for (const [n, [component]] of uploaded.entries()) assert.equal(Buffer.compare(await download(component.data.id), all[n]), 0);
  });

  it("is refused where a part is missing or wrong", async () => {
    const id = crypto.randomUUID();
    const [metadata] = await shared.session.call([
      { action: "get_upload_metadata", component_id: id, file_name: "x.bin", file_size: 30, parts: 3 },
    ]);
    const sent = await fetch(metadata.urls[0].signed_url, { method: "PUT", body: "0123456789" });
    const e_tag = sent.headers.get("etag").replaceAll('"', "");
    const complete = (parts) => shared.session.call([{ action: "complete_multipart_upload", component_id: id, upload_id: metadata.upload_id, parts }]);
    await assert.rejects(complete([{ part_number: 1, e_tag }, { part_number: 2, e_tag }]));
    await assert.rejects(complete([{ part_number: 1, e_tag: "wrong" }]));
    assert.ok((await fetch(shared.session.getComponentUrl(id))).status >= 400);
  });
});

describe("addresses", () => {
  it("of nothing are nothing, or the default picture", async () => {
    assert.equal(shared.session.getComponentUrl(null), null);
    const url = shared.session.thumbnailUrl(null);
    assert.equal(url, `${server}/img/thumbnail2.png`);
    const response = await fetch(url);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^image\/png/);
  });

  it("of thumbnails give images of the wanted size", async () => {
    const [{ data }] = await upload(png(800, 200), "wide.png");
    for (const [options, width] of [[{}, 300], [{ size: 40 }, 40]]) {
      const response = await fetch(shared.session.thumbnailUrl(data.id, options));
      assert.equal(response.status, 200);
      const image = Buffer.from(await response.arrayBuffer());
      assert.ok(image.length > 50);
      assert.equal(measure(image)[0], width);
    }
  });

  it("signed ones need no key", async () => {
    const [{ data }] = await upload(Buffer.from("signed"), "signed.txt");
    const [{ signed_url }] = await shared.session.call([{ action: "generate_signed_url", component_id: data.id }]);
    assert.equal(signed_url.includes(shared.session.apiKey), false);
    assert.equal(await (await fetch(signed_url)).text(), "signed");
    assert.ok((await fetch(`${signed_url.slice(0, -1)}z`)).status >= 400);
  });

  it("of other sites' pages may be fetched by browsers", async () => {
    const response = await fetch(`${server}/api`, {
      method: "OPTIONS",
      headers: { Origin: "https://studio.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "ftrack-user" },
    });
    assert.ok(response.ok);
    assert.ok(response.headers.get("access-control-allow-origin"));
  });
});

describe("encoding", () => {
  it("makes an image playable", async () => {
    const [{ data: component }] = await upload(png(640, 480), "still.png");
    const [{ job_id }] = await shared.session.call([
      { action: "encode_media", component_id: component.id, version_id: version.id, keep_original: true },
    ]);
    const session = await open();
    const job = await (async () => {
      for (let n = 0; n < 600; n += 1) {
        const [found] = await rows(session, `select status, data, job_components.component.name from Job where id is "${job_id}"`);
        if (found.status === "done") return found;
        assert.notEqual(found.status, "failed");
        await new Promise((resume) => setTimeout(resume, 50));
      }
      assert.fail("the job never ended");
    })();
    shared.created.push(["Job", [job_id]]);
    const { output, source_component_id } = JSON.parse(job.data);
    assert.equal(source_component_id, component.id);
    assert.ok(output.length > 0);
    assert.equal(job.job_components.length, output.length);
    for (const { component_id, format } of output) {
      assert.match(format, /^image\//);
      assert.ok((await download(component_id)).length > 100);
    }
  });
});

/** Width and height of a PNG or JPEG. */
function measure(image) {
  if (image[0] === 0x89) return [image.readUInt32BE(16), image.readUInt32BE(20)];
  let at = 2;
  for (;;) {
    const marker = image[at + 1];
    // The frame header, in any of its variants; the others there are tables.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return [image.readUInt16BE(at + 7), image.readUInt16BE(at + 5)];
    }
    at += 2 + image.readUInt16BE(at + 2);
  }
}
