// The live channel, which is opened again after each end and each silence.

const SILENT_MS = 8000; // a state comes every 2 s
const FIRST_MS = 500;
const MOST_MS = 4000;

export class Live {
  /** `on` has a function for each event (hello, users, state, decisions), and `connected(boolean)`, and `refused(why)`. */
  constructor(on) {
    this.on = on;
    this.source = null;
    this.timer = 0;
    this.wait = FIRST_MS;
    window.addEventListener("online", () => this.again());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.user && this.source?.readyState !== EventSource.OPEN) this.again();
    });
  }

  /** Changes to another user, or to one of its agents by name or number; "": all of them. */
  watch(user, agent = "") {
    this.user = user;
    this.agent = agent;
    this.again();
  }

  again() {
    if (!this.user) return;
    clearTimeout(this.timer);
    this.source?.close();
    const source = new EventSource(`/live?${new URLSearchParams({ user: this.user, ...(this.agent && { agent: this.agent }) })}`);
    this.source = source;
    for (const name of ["hello", "users", "state", "decisions"]) {
      source.addEventListener(name, (event) => {
        if (source !== this.source) return;
        this.heard();
        this.on[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      if (source === this.source) this.lost();
    });
    this.expect(SILENT_MS);
  }

  heard() {
    this.wait = FIRST_MS;
    this.on.connected(true);
    this.expect(SILENT_MS);
  }

  lost() {
    this.on.connected(false);
    this.source.close();
    this.expect(this.wait);
    this.wait = Math.min(this.wait * 1.6, MOST_MS);
    this.why(this.source);
  }

  /** Finds out the reason of a refusal, which an event source does not give. */
  async why(source) {
    const leave = new AbortController();
    try {
      const { ok, status, ...answer } = await refusal(source.url, leave.signal);
      if (source.url !== this.source.url || ok) return;
      if (status === 401) location.assign("/login");
      else this.on.refused(answer.error);
      if (status === 404) clearTimeout(this.timer); // no user can have this name, so a retry is useless
    } catch {
      // The server is away: the timer retries.
    } finally {
      leave.abort();
    }
  }

  /** Reconnects if there is no event within that time. */
  expect(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (ms === SILENT_MS) this.on.connected(false);
      this.again();
    }, ms);
  }
}

async function refusal(url, signal) {
  const answer = await fetch(url, { signal });
  const { ok, status } = answer;
  return { ok, status, error: ok ? "" : ((await answer.json().catch(() => ({}))).error ?? `status ${status}`) };
}
