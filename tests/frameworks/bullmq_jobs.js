// The side of BullMQ: node bullmq_jobs.js MODULE [worker].
"use strict";

const { framework, Redis, QUEUE, url, isWorker, side, job } = require("./node_side.js");

const { Queue, Worker } = framework;
const connect = () => new Redis(url, { maxRetriesPerRequest: null });

function functions() {
  const queue = new Queue(QUEUE, { connection: connect() });
  let id = 0;
  return {
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
}

function work() {
  const worker = new Worker(QUEUE, job(), {
    connection: connect(),
    concurrency: 2,
    lockDuration: 2000,
    stalledInterval: 1000,
  });
  process.on("SIGTERM", () => worker.close().then(() => process.exit(0)));
}

if (isWorker) work();
else side(functions());
