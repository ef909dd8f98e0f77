// The pipeline as a drawing: what each stage does now. The table below it says the same in numbers.
import { number, say, seconds, svg } from "./dom.js";

const WIDTH = 160;
const HEIGHT = 96;
// Column and row of each stage; on a narrow screen the way goes down instead of right.
const NODES = {
  web: { title: "Web", does: "counts and appends", at: [0, 0] },
  bridge: { title: "Bridge", does: "ingress → Kafka", at: [1, 0] },
  fallback: { title: "Fallback queue", does: "while Kafka is away", at: [1, 1] },
  aggregator: { title: "Aggregator", does: "at once, or later?", at: [2, 0] },
  flusher: { title: "Windows", does: "gather, then flush", at: [2, 1] },
  relay: { title: "Ledger and relay", does: "one transaction", at: [3, 0] },
  mail: { title: "Mailer", does: "e-mail and SMS", at: [3, 1] },
  deliverer: { title: "Deliverer", does: "emits to sockets", at: [4, 0] },
  recorder: { title: "Recorder", does: "delivery log", at: [4, 1] },
};
const EDGES = [
  ["web", "bridge"], ["bridge", "fallback"], ["bridge", "aggregator"], ["fallback", "aggregator"],
  ["aggregator", "flusher"], ["aggregator", "relay"], ["flusher", "relay"], ["relay", "deliverer"], ["relay", "recorder"], ["relay", "mail"],
];
const STEPS = {
  accepted: "web", published: "bridge", spilled: "fallback", queued: "fallback", "sent from the queue": "fallback",
  aggregated: "aggregator", closed: "flusher", written: "relay", announced: "relay", relayed: "relay", emitted: "deliverer",
};
const LATE_SECONDS = { bridge: 5, relay: 5, fallback: 5, flusher: 5, mail: 300 };
const LIT_MS = 1600;

export class Picture {
  constructor(place) {
    this.place = place;
    this.narrow = matchMedia("(max-width: 48rem)");
    this.narrow.addEventListener("change", () => this.draw());
    this.last = null;
    this.draw();
  }

  draw() {
    const narrow = this.narrow.matches;
    const cell = narrow ? [WIDTH + 16, HEIGHT + 34] : [WIDTH + 40, HEIGHT + 44];
    const [wide, high] = narrow ? [2, 5] : [5, 2];
    const size = [(wide - 1) * cell[0] + WIDTH + 8, (high - 1) * cell[1] + HEIGHT + 8];
    this.spots = Object.fromEntries(Object.entries(NODES).map(([name, { at }]) => {
      const [across, down] = narrow ? [at[1], at[0]] : at;
      return [name, [across * cell[0] + 4, down * cell[1] + 4]];
    }));
    this.texts = {};
    const root = svg("svg", { viewBox: `0 0 ${size.join(" ")}`, role: "img", "aria-label": "The pipeline; the table below has its figures", class: "picture-svg" },
      svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { d: "M0 0 8 4 0 8z" }))),
      ...EDGES.map((edge) => this.edge(...edge)),
      ...Object.keys(NODES).map((name) => this.node(name)));
    this.place.replaceChildren(root);
    if (this.last) this.show(this.last);
  }

  edge(from, to) {
    const [a, b] = [this.spots[from], this.spots[to]];
    const middle = ([x, y]) => [x + WIDTH / 2, y + HEIGHT / 2];
    const [ax, ay] = middle(a);
    const [bx, by] = middle(b);
    const trim = (dx, dy) => Math.min(dx ? WIDTH / 2 / Math.abs(dx) : Infinity, dy ? HEIGHT / 2 / Math.abs(dy) : Infinity);
    const [dx, dy] = [bx - ax, by - ay];
    const share = trim(dx, dy);
    const line = svg("path", { class: "edge", "marker-end": "url(#tip)",
      d: `M${ax + dx * share} ${ay + dy * share}L${bx - dx * share} ${by - dy * share}` });
    this.texts[`${from}>${to}`] = line;
    return line;
  }

  node(name) {
    const [x, y] = this.spots[name];
    const line = (row, kind) => svg("text", { x: 10, y: row, class: kind });
    const parts = { rate: line(58, "rate"), waits: line(76, "small"), old: line(90, "small") };
    const group = svg("g", { class: "node", "data-stage": name, transform: `translate(${x} ${y})` },
      svg("rect", { width: WIDTH, height: HEIGHT, rx: 10 }),
      svg("text", { x: 10, y: 20, class: "title" }, NODES[name].title),
      svg("text", { x: 10, y: 36, class: "small" }, NODES[name].does),
      parts.rate, parts.waits, parts.old);
    this.texts[name] = { group, ...parts };
    return group;
  }

  // `stages`: name -> {rate, held, lag, oldest}; null is "nobody told".
  show(stages) {
    this.last = stages;
    for (const [name, { group, rate, waits, old }] of Object.entries(this.texts).filter(([key]) => NODES[key])) {
      const stage = stages[name];
      if (!stage) continue;
      say(rate, stage.rate === null ? "–/s" : `${stage.rate.toFixed(stage.rate < 10 ? 1 : 0)}/s`);
      say(waits, stage.waiting === undefined ? "" : `waiting ${number(stage.waiting)}`);
      say(old, stage.oldest ? `oldest ${seconds(stage.oldest)}` : "");
      group.dataset.state = this.state(name, stage);
    }
    for (const [from, to] of EDGES) {
      const moving = (stages[to]?.rate ?? 0) > 0;
      this.texts[`${from}>${to}`].dataset.moving = String(moving);
    }
  }

  state(name, { waiting, oldest }) {
    if (waiting === null) return "unknown";
    if (name === "fallback" && waiting > 0) return "late";
    return oldest > (LATE_SECONDS[name] ?? Infinity) ? "late" : "well";
  }

  // An event of ours passed this step: its stage shines for a moment.
  light(step) {
    const node = this.texts[STEPS[step]]?.group;
    if (!node) return;
    node.classList.add("lit");
    clearTimeout(node.timer);
    node.timer = setTimeout(() => node.classList.remove("lit"), LIT_MS);
  }

  // A stage that holds an event of ours shines until it lets go.
  hold(name, on) {
    this.texts[name]?.group.classList.toggle("holding", on);
  }
}
