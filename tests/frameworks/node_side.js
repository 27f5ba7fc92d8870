// What the sides of the frameworks of Node have in common. Lines of JSON as in side.py.
"use strict";

const path = require("node:path");
const readline = require("node:readline");

const packageFolder = path.resolve(process.argv[2]);
const Redis = require(path.resolve(packageFolder, "../ioredis"));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function side(functions) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, args] = JSON.parse(line);
    await functions[name](...args);
    process.stdout.write("null\n");
  }
  process.exit(0);
}

// The job: it writes its start and its end into the books.
function job() {
  const books = new Redis(process.env.JOBS_BOOKS);
  return async ({ data }) => {
    const entry = () => `${data.id} ${Date.now() / 1000}`;
    await books.rpush("started", entry());
    if (data.seconds === undefined) while (!(await books.exists("release"))) await sleep(20);
    else await sleep(data.seconds * 1000);
    await books.rpush("done", entry());
  };
}

module.exports = {
  framework: require(packageFolder),
  Redis,
  QUEUE: "jobs",
  url: process.env.JOBS_REDIS,
  isWorker: process.argv[3] === "worker",
  side,
  job,
};
