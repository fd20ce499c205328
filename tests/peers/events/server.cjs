// An event server on the real socket.io 0.9.19: what ftrack's own is made of.
//
//   node server.cjs        prints "listening <port>", then runs until its input ends.
//
// Input lines: "cut" breaks every connection without a word.
"use strict";

const http = require("http");
const readline = require("readline");

// socket.io 0.9 was written for a Node.js whose requests had this header under this name only.
const server = http.createServer((request, response) => {
  response.statusCode = 404;
  response.end();
});
const home = process.env.FTRACK_PEERS_NODE || __dirname;
const io = require(require.resolve("socket.io", { paths: [home] })).listen(server, { "log level": 0 });
io.set("transports", ["websocket"]);
io.set("authorization", (data, accept) => {
  const url = new URL(data.url, "http://localhost");
  const key = data.headers["ftrack-api-key"] || url.searchParams.get("api_key");
  accept(null, key === "secret");
});

const sockets = new Set();

io.sockets.on("connection", (socket) => {
  const subscriptions = new Map();
  socket.subscriptions = subscriptions;
  sockets.add(socket);
  socket.on("disconnect", () => sockets.delete(socket));
  socket.on("ftrack.event", (event, acknowledge) => {
    const reply = acknowledge || (() => {});
    const subscriber = event.data && event.data.subscriber;
    if (event.topic === "ftrack.meta.subscribe") {
      subscriptions.set(subscriber.id, event.data.subscription);
    } else if (event.topic === "ftrack.meta.unsubscribe") {
      subscriptions.delete(subscriber.id);
    } else {
      route(event);
    }
    reply({ success: true });
  });
});

// By topic and by the id of a target: clients look at the rest themselves.
function route(event) {
  const target = /^id="?([^"]*)"?$/.exec(event.target || "");
  for (const socket of sockets) {
    for (const [id, subscription] of socket.subscriptions) {
      const topic = /topic *= *["']?([\w\-,./*@+]+)/.exec(subscription);
      const wanted =
        !topic ||
        topic[1] === event.topic ||
        (topic[1].endsWith("*") && event.topic.includes(topic[1].slice(0, -1)));
      if (wanted && (!target || target[1] === id)) {
        socket.emit("ftrack.event", event);
        break;
      }
    }
  }
}

const connections = new Set();
server.on("connection", (connection) => {
  connections.add(connection);
  connection.on("close", () => connections.delete(connection));
});

const input = readline.createInterface({ input: process.stdin });
input.on("line", (line) => {
  if (line === "cut") connections.forEach((connection) => connection.destroy());
});
input.on("close", () => process.exit(0));

server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`listening ${server.address().port}\n`);
});
