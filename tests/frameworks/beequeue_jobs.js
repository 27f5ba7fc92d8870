// The side of Bee-Queue: node beequeue_jobs.js MODULE [worker].
"use strict";

const { framework: Queue, QUEUE, url, isWorker, side, job } = require("./node_side.js");

const queue = new Queue(QUEUE, {
  redis: { url },
  isWorker,
  stallInterval: 2000,
  activateDelayedJobs: isWorker,
});
let id = 0;

if (isWorker) {
  queue.process(2, job());
  queue.checkStalledJobs(1000);
  process.on("SIGTERM", () => queue.close(60000).then(() => process.exit(0)));
} else {
  side({
    async enqueue(number) {
      for (let i = 0; i < number; i += 1) await queue.createJob({ id: (id += 1) }).save();
    },
    async enqueueIn(number, ms) {
      for (let i = 0; i < number; i += 1) await queue.createJob({ id: (id += 1) }).delayUntil(Date.now() + ms).save();
    },
    purge: () => queue.destroy(),
  });
}
