// The side of frameworks of Node in PostgreSQL: node postgresql_jobs.js PACKAGES graphile-worker|pg-boss [worker].
// Lines of JSON as in side.py.
"use strict";

const readline = require("node:readline");
const path = require("node:path");

const [packages, name, role] = process.argv.slice(2);
const load = (package_) => require(path.resolve(packages, package_));
const Redis = load("ioredis");

const QUEUE = "jobs";
const connectionString = process.env.JOBS_DATABASE;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const later = (seconds) => new Date(Date.now() + seconds * 1000);
let id = 0;

async function work(books, data) {
  await books.rpush("started", `${data.id} ${Date.now() / 1000}`);
  while (!(await books.exists("release"))) await sleep(20);
  await books.rpush("done", `${data.id} ${Date.now() / 1000}`);
}

const frameworks = {
  "graphile-worker": {
    async side() {
      const { makeWorkerUtils } = load("graphile-worker");
      const utils = await makeWorkerUtils({ connectionString });
      const functions = {
        create: () => utils.migrate(),
        async enqueue(number, seconds = 0, options = {}) {
          for (let i = 0; i < number; i += 1) {
            await utils.addJob(QUEUE, { id: (id += 1) }, { ...(seconds && { runAt: later(seconds) }), ...options });
          }
        },
        enqueueOther: (number, options = {}) => functions.enqueueFor("others", number, options),
        async enqueueFor(task, number, options) {
          for (let i = 0; i < number; i += 1) await utils.addJob(task, {}, options);
        },
        purge: () => utils.withPgClient((client) => client.query("DELETE FROM graphile_worker._private_jobs")),
      };
      return functions;
    },
    async worker(books, concurrency) {
      const { run } = load("graphile-worker");
      const runner = await run({
        connectionString,
        concurrency,
        pollInterval: 500,
        minResetLockedInterval: 1000,
        maxResetLockedInterval: 1000,
        taskList: { [QUEUE]: (payload) => work(books, payload) },
      });
      await runner.promise; // it ends by SIGTERM by itself
      process.exit(0);
    },
  },
  "pg-boss": {
    async start(options) {
      const { PgBoss } = await import(path.resolve(packages, "pg-boss/dist/index.js"));
      const boss = new PgBoss({ connectionString, ...options });
      boss.on("error", console.error);
      return boss;
    },
    async side() {
      const boss = await this.start({ supervise: false, schedule: false });
      return {
        async create() {
          await boss.start();
          await boss.createQueue(QUEUE);
        },
        createQueue: (queue, options) => boss.createQueue(queue, options),
        async enqueue(number, seconds = 0, options = {}) {
          for (let i = 0; i < number; i += 1) {
            await boss.send(QUEUE, { id: (id += 1) }, { ...(seconds && { startAfter: seconds }), ...options });
          }
        },
        async enqueueFor(queue, number, options = {}) {
          for (let i = 0; i < number; i += 1) await boss.send(queue, { id: (id += 1) }, options);
        },
        fetch: async (queue) => (await boss.fetch(queue)).length,
        async failFetched(queue) {
          for (const job of await boss.fetch(queue)) await boss.fail(queue, job.id);
        },
        purge: () => boss.deleteAllJobs(QUEUE),
      };
    },
    async worker(books, concurrency) {
      const boss = await this.start({ superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 });
      await boss.start();
      for (let i = 0; i < concurrency; i += 1) {
        await boss.work(QUEUE, { pollingIntervalSeconds: 0.5 }, ([job]) => work(books, job.data));
      }
      process.on("SIGTERM", () => boss.stop({ timeout: 60_000 }).then(() => process.exit(0)));
    },
  },
};

async function serve(functions) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [called, args] = JSON.parse(line);
    process.stdout.write(`${JSON.stringify((await functions[called](...args)) ?? null)}\n`);
  }
  process.exit(0);
}

if (role === "worker") frameworks[name].worker(new Redis(process.env.JOBS_BOOKS), Number(process.argv[5]));
else frameworks[name].side().then(serve);
