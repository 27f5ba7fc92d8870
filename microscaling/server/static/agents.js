// The connected agents, the age of their last reports, and the command to connect one more.

import { byId, el, keyed, say, show } from "./dom.js";
import { age, count, number, quoted } from "./format.js";

const OLD_MS = 3000;

export class Agents {
  /** `on.tell(text)` announces to screen readers; `on.only(name)` shows one agent alone, by name or number, or all. */
  constructor(on) {
    this.place = byId("agents");
    this.shown = [];
    this.on = on;
    byId("only-all").addEventListener("click", () => on.only(""));
    for (const button of document.querySelectorAll("[data-copy]")) {
      button.addEventListener("click", () => this.copy(button));
    }
  }

  /** `server`: its version, and `token`: whether agents need one. */
  draw(state, { server, token }) {
    const { connected, shown } = state.agents;
    this.shown = shown.toReversed();
    say(byId("agents-count"), connected > shown.length ? `${number(connected)}, the last ${shown.length}:` : number(connected));
    show(byId("agents-some"), connected > 0);
    show(byId("attach"), connected === 0);
    if (connected === 0) this.attach(state, server, token);
    this.several = connected > 1;
    this.alone = state.agent;
    keyed(
      this.place,
      this.shown,
      ({ id }) => id,
      () => this.make(),
      (row, agent) => this.update(row.parts, agent),
    );
  }

  make() {
    const parts = { name: el("b", {}), about: el("span", { class: "muted" }), hold: el("p", { class: "hold" }), orphans: el("p", { class: "hold" }), last: el("span", { class: "last" }) };
    parts.only = el("button", { type: "button", class: "quiet", text: "Show alone" });
    const row = el("li", {}, el("p", {}, parts.name, parts.last), el("p", {}, parts.about), parts.hold, parts.orphans, parts.only);
    row.parts = parts;
    parts.only.addEventListener("click", () => this.on.only(parts.agent.name || String(parts.agent.id)));
    return row;
  }

  update(parts, agent) {
    parts.agent = agent;
    say(parts.name, agent.name || `agent ${agent.id}`);
    const about = [
      agent.version && `version ${agent.version}`,
      agent.engine === "LOCAL" ? "decides by itself" : agent.engine && "does what the server wants",
      !agent.detail && "reports only the Go agent's fields",
      count(agent.received, "report"),
    ];
    say(parts.about, about.filter(Boolean).join(" · "));
    show(parts.only, this.several && agent.id !== this.alone);
    parts.only.setAttribute("aria-label", `Show ${agent.name || `agent ${agent.id}`} alone`);
    say(parts.hold, agent.hold && `Holds all tasks: ${agent.hold}`);
    show(parts.hold, Boolean(agent.hold));
    say(parts.orphans, agent.orphans && `Places are taken by ${agent.orphans}`);
    show(parts.orphans, Boolean(agent.orphans));
  }

  /** Updates the ages of the last reports; `now` in Unix milliseconds of the server's clock. */
  tick(now) {
    for (const { parts } of this.place.children) {
      const old = now - parts.agent.last;
      say(parts.last, `last word ${age(old)}`);
      parts.last.classList.toggle("old", old > OLD_MS);
    }
  }

  attach(state, server, token) {
    const address = location.protocol === "https:" ? location.origin : location.host;
    const settings = [
      `MSS_API_ADDRESS=${address}`,
      `MSS_USER_ID=${quoted(state.user)}`,
      "MSS_CONFIG=SERVER",
      "MSS_DEMAND_ENGINE=SERVER",
      "MSS_MONITOR=SERVER",
      ...(token ? ["MSS_API_TOKEN=the-token-of-this-server"] : []),
    ];
    say(byId("attach-shell"), `${settings.join(" \\\n")} \\\nmicroscaling`);
    const options = settings.map((setting) => `  -e ${setting} \\\n`).join("");
    const docker = "docker run --rm --network host \\\n  -v /var/run/docker.sock:/var/run/docker.sock \\\n";
    say(byId("attach-docker"), `${docker}${options}  microscaling/microscaling:${server}`);
    show(byId("attach-config"), !state.configured);
  }

  async copy(button) {
    const source = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // The clipboard's own API exists only with https or on this machine; elsewhere the older command works.
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    say(button, "Copied");
    this.on.tell("Copied.");
    setTimeout(() => say(button, "Copy"), 2000);
  }
}
