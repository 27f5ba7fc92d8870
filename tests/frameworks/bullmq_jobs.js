// The side of BullMQ: node bullmq_jobs.js MODULE [worker]. Lines of JSON as in side.py.
"use strict";

const readline = require("node:readline");
const path = require("node:path");

const { Queue, Worker } = require(path.resolve(process.argv[2]));
const Redis = require(path.resolve(process.argv[2], "../ioredis"));

const QUEUE = "jobs";
const url = process.env.JOBS_REDIS;
const connect = () => new Redis(url, { maxRetriesPerRequest: null });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function side() {
  const queue = new Queue(QUEUE, { connection: connect() });
  let id = 0;
  const functions = {
    async enqueue(number, options = {}) {
      for (let i = 0; i < number; i += 1) await queue.add("job", { id: (id += 1) }, options);
    },
    async put(jobs) {
      for (const { id, seconds, delay, other } of jobs) {
        await queue.add("job", { id, seconds }, { delay: delay * 1000, ...(other && { priority: 1 }) });
      }
    },
    pause: () => queue.pause(),
    resume: () => queue.resume(),
    limit: (ms) => queue.rateLimit(ms),
    endLimit: () => queue.removeRateLimitKey(),
    purge: () => queue.obliterate({ force: true }),
  };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, args] = JSON.parse(line);
    await functions[name](...args);
    process.stdout.write("null\n");
  }
  process.exit(0);
}

async function work() {
  const books = new Redis(process.env.JOBS_BOOKS);
  const job = async ({ data }) => {
    const entry = () => `${data.id} ${Date.now() / 1000}`;
    await books.rpush("started", entry());
    if (data.seconds === undefined) while (!(await books.exists("release"))) await sleep(20);
    else await sleep(data.seconds * 1000);
    await books.rpush("done", entry());
  };
  const worker = new Worker(QUEUE, job, { connection: connect(), concurrency: 2, lockDuration: 2000, stalledInterval: 1000 });
  process.on("SIGTERM", () => worker.close().then(() => process.exit(0)));
}

if (process.argv[3] === "worker") work();
else side();
