// The side of Bull: node bull_jobs.js MODULE [worker].
"use strict";

const { framework: Queue, Redis, QUEUE, url, isWorker, side, job } = require("./node_side.js");

const queue = new Queue(QUEUE, {
  createClient: () => new Redis(url, { maxRetriesPerRequest: null, enableReadyCheck: false }),
  settings: { lockDuration: 2000, stalledInterval: 1000 },
});
let id = 0;

if (isWorker) {
  queue.process(2, job());
  process.on("SIGTERM", () => queue.close().then(() => process.exit(0)));
} else {
  side({
    async enqueue(number, options = {}) {
      for (let i = 0; i < number; i += 1) await queue.add({ id: (id += 1) }, options);
    },
    pause: () => queue.pause(),
    resume: () => queue.resume(),
    purge: () => queue.obliterate({ force: true }),
  });
}
