// SVG diagram of the pipeline: rate, backlog and state of each stage. A table (stages.js) has the same figures.
import { formatDuration, formatNumber, setText, svg } from "./dom.js";

const MARGIN = 4;
// On a narrow screen columns and rows are swapped, so that the diagram runs from top to bottom, in its real size.
const WIDE = { node: [168, 54], gap: [36, 16], columns: 5, rows: 3, title: "title" };
const NARROW = { node: [104, 62], gap: [10, 18], columns: 3, rows: 5, title: "shortTitle" };
// `at`: column and row of the stage.
const NODES = {
  web: { title: "Web", shortTitle: "Web", does: "counts and appends", at: [0, 0] },
  bridge: { title: "Bridge", shortTitle: "Bridge", does: "moves events from the ingress to Kafka", at: [1, 0] },
  fallback: { title: "Fallback", shortTitle: "Fallback", does: "keeps events while Kafka is unavailable", at: [1, 1] },
  aggregator: { title: "Aggregator", shortTitle: "Aggregator", does: "decides: at once, or later", at: [2, 0] },
  flusher: { title: "Windows", shortTitle: "Windows", does: "gather, then flush", at: [2, 1] },
  relay: { title: "Writer, relay", shortTitle: "Relay", does: "writes in one transaction, then announces", at: [3, 0] },
  mail: { title: "Mailer", shortTitle: "Mailer", does: "sends e-mail and SMS", at: [3, 1] },
  deliverer: { title: "Deliverer", shortTitle: "Deliverer", does: "emits to sockets", at: [4, 0] },
  "delivery-log": { title: "Delivery log", shortTitle: "Log", does: "writes to DynamoDB", at: [4, 1] },
  "fan-out": { title: "Fan-out", shortTitle: "Fan-out", does: "pages of subscribers", at: [2, 2] },
  "fan-out-log": { title: "Fan-out log", shortTitle: "Fan-out log", does: "writes pages to DynamoDB", at: [4, 2] },
};
export const stageTitle = (name) => NODES[name]?.title ?? name;
const EDGES = [
  ["web", "bridge"], ["bridge", "fallback"], ["bridge", "aggregator"], ["fallback", "aggregator"],
  ["aggregator", "flusher"], ["aggregator", "relay"], ["flusher", "relay"], ["relay", "deliverer"], ["relay", "delivery-log"], ["relay", "mail"],
  ["web", "fan-out"], ["fan-out", "fan-out-log"],
];
const STAGE_BY_STEP = {
  accepted: "web", published: "bridge", sent_to_fallback: "fallback", queued: "fallback", "sent from the queue": "fallback",
  aggregated: "aggregator", closed: "flusher", written: "relay", announced: "relay", relayed: "relay", emitted: "deliverer",
};
const HIGHLIGHT_MS = 1600;

export class PipelineDiagram {
  constructor(container) {
    this.container = container;
    this.narrowQuery = matchMedia("(max-width: 48rem)");
    this.narrowQuery.addEventListener("change", () => this.draw());
    this.lastStages = null;
    this.draw();
  }

  draw() {
    const isNarrow = this.narrowQuery.matches;
    this.layout = isNarrow ? NARROW : WIDE;
    const { node, gap, columns, rows } = this.layout;
    const cell = [node[0] + gap[0], node[1] + gap[1]];
    const size = [columns * cell[0] - gap[0] + 2 * MARGIN, rows * cell[1] - gap[1] + 2 * MARGIN];
    this.positions = Object.fromEntries(Object.entries(NODES).map(([name, { at }]) => {
      const [column, row] = isNarrow ? [at[1], at[0]] : at;
      return [name, [column * cell[0] + MARGIN, row * cell[1] + MARGIN]];
    }));
    this.nodes = {};
    this.edges = {};
    const root = svg("svg", { viewBox: `0 0 ${size.join(" ")}`, role: "img", "aria-label": "The pipeline: rate, backlog and state of each stage", class: `pipeline-svg${isNarrow ? " narrow" : ""}` },
      svg("defs", {}, svg("marker", { id: "arrowhead", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { d: "M0 0 8 4 0 8z" }))),
      ...EDGES.map(([from, to]) => this.createEdge(from, to)),
      ...Object.keys(NODES).map((name) => this.createNode(name)));
    this.container.replaceChildren(root);
    if (this.lastStages) this.update(this.lastStages);
  }

  // An arrow between the centres of two nodes, shortened to their borders.
  createEdge(from, to) {
    const [width, height] = this.layout.node;
    const centre = ([x, y]) => [x + width / 2, y + height / 2];
    const [fromX, fromY] = centre(this.positions[from]);
    const [toX, toY] = centre(this.positions[to]);
    const [dx, dy] = [toX - fromX, toY - fromY];
    const share = Math.min(dx ? width / 2 / Math.abs(dx) : Infinity, dy ? height / 2 / Math.abs(dy) : Infinity);
    const edge = svg("path", { class: "edge", "marker-end": "url(#arrowhead)",
      d: `M${fromX + dx * share} ${fromY + dy * share}L${toX - dx * share} ${toY - dy * share}` });
    this.edges[`${from}>${to}`] = edge;
    return edge;
  }

  // Wide: title and rate in one line; narrow: one below the other.
  createNode(name) {
    const [x, y] = this.positions[name];
    const [width, height] = this.layout.node;
    const isWide = this.layout === WIDE;
    const rate = svg("text", isWide ? { x: width - 10, y: 22, "text-anchor": "end", class: "rate" } : { x: 8, y: 36, class: "rate" });
    const waiting = svg("text", isWide ? { x: 10, y: 42, class: "small" } : { x: 8, y: 53, class: "small" });
    const group = svg("g", { class: "node", "data-stage": name, transform: `translate(${x} ${y})` },
      svg("title", {}, `${NODES[name].title}: ${NODES[name].does}`),
      svg("rect", { width, height, rx: 10 }),
      svg("text", { x: isWide ? 10 : 8, y: isWide ? 22 : 18, class: "title" }, NODES[name][this.layout.title]),
      rate, waiting);
    this.nodes[name] = { group, rate, waiting };
    return group;
  }

  waitingText({ backlog, oldestAgeSeconds }) {
    if (backlog === undefined) return "";
    const [waiting, oldest] = this.layout === WIDE ? ["waiting ", ", oldest "] : ["", ", "];
    return `${waiting}${formatNumber(backlog)}${oldestAgeSeconds ? `${oldest}${formatDuration(oldestAgeSeconds)}` : ""}`;
  }

  // `stages`: name -> {rate, backlog, oldestAgeSeconds, level}; null: unknown; undefined: the stage has no such figure.
  update(stages) {
    this.lastStages = stages;
    for (const [name, { group, rate, waiting }] of Object.entries(this.nodes)) {
      const stage = stages[name];
      if (!stage) continue;
      setText(rate, stage.rate === null ? "–/s" : `${stage.rate.toFixed(stage.rate < 10 ? 1 : 0)}/s`);
      setText(waiting, this.waitingText(stage));
      group.dataset.state = stage.backlog === null ? "unknown" : stage.level === "ok" ? "ok" : "late";
    }
    for (const [from, to] of EDGES) {
      this.edges[`${from}>${to}`].dataset.moving = String((stages[to]?.rate ?? 0) > 0);
    }
  }

  // Highlights for a moment the stage that a tracked event passed with this step.
  highlightStep(step) {
    const group = this.nodes[STAGE_BY_STEP[step]]?.group;
    if (!group) return;
    group.classList.add("highlighted");
    clearTimeout(group.timer);
    group.timer = setTimeout(() => group.classList.remove("highlighted"), HIGHLIGHT_MS);
  }

  // Marks a stage for as long as it holds the tracked event.
  setHolding(name, isHolding) {
    this.nodes[name]?.group.classList.toggle("holding", isHolding);
  }
}
