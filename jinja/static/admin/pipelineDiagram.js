// SVG diagram of the pipeline: rate, backlog and state of each stage. A table below it has the same figures.
import { formatDuration, formatNumber, setText, svg } from "./dom.js";

const NODE_WIDTH = 160;
const NODE_HEIGHT = 96;
const MARGIN = 4;
// `at`: column and row of the stage; on a narrow screen they are swapped, so that the diagram runs from top to bottom.
const NODES = {
  web: { title: "Web", does: "counts and appends", at: [0, 0] },
  bridge: { title: "Bridge", does: "ingress → Kafka", at: [1, 0] },
  fallback: { title: "Fallback queue", does: "while Kafka is unavailable", at: [1, 1] },
  aggregator: { title: "Aggregator", does: "at once, or later?", at: [2, 0] },
  flusher: { title: "Windows", does: "gather, then flush", at: [2, 1] },
  relay: { title: "Writer and relay", does: "one transaction", at: [3, 0] },
  mail: { title: "Mailer", does: "e-mail and SMS", at: [3, 1] },
  deliverer: { title: "Deliverer", does: "emits to sockets", at: [4, 0] },
  "delivery-log": { title: "Delivery log", does: "DynamoDB", at: [4, 1] },
  "fan-out": { title: "Fan-out", does: "pages of subscribers", at: [2, 2] },
  "fan-out-log": { title: "Fan-out log", does: "pages, to DynamoDB", at: [4, 2] },
};
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
    const cell = isNarrow ? [NODE_WIDTH + 16, NODE_HEIGHT + 34] : [NODE_WIDTH + 40, NODE_HEIGHT + 44];
    const [columns, rows] = isNarrow ? [3, 5] : [5, 3];
    const size = [(columns - 1) * cell[0] + NODE_WIDTH + 2 * MARGIN, (rows - 1) * cell[1] + NODE_HEIGHT + 2 * MARGIN];
    this.positions = Object.fromEntries(Object.entries(NODES).map(([name, { at }]) => {
      const [column, row] = isNarrow ? [at[1], at[0]] : at;
      return [name, [column * cell[0] + MARGIN, row * cell[1] + MARGIN]];
    }));
    this.nodes = {};
    this.edges = {};
    const root = svg("svg", { viewBox: `0 0 ${size.join(" ")}`, role: "img", "aria-label": "The pipeline; the table below has its figures", class: "pipeline-svg" },
      svg("defs", {}, svg("marker", { id: "arrowhead", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { d: "M0 0 8 4 0 8z" }))),
      ...EDGES.map(([from, to]) => this.createEdge(from, to)),
      ...Object.keys(NODES).map((name) => this.createNode(name)));
    this.container.replaceChildren(root);
    if (this.lastStages) this.update(this.lastStages);
  }

  // An arrow between the centres of two nodes, shortened to their borders.
  createEdge(from, to) {
    const centre = ([x, y]) => [x + NODE_WIDTH / 2, y + NODE_HEIGHT / 2];
    const [fromX, fromY] = centre(this.positions[from]);
    const [toX, toY] = centre(this.positions[to]);
    const [dx, dy] = [toX - fromX, toY - fromY];
    const share = Math.min(dx ? NODE_WIDTH / 2 / Math.abs(dx) : Infinity, dy ? NODE_HEIGHT / 2 / Math.abs(dy) : Infinity);
    const edge = svg("path", { class: "edge", "marker-end": "url(#arrowhead)",
      d: `M${fromX + dx * share} ${fromY + dy * share}L${toX - dx * share} ${toY - dy * share}` });
    this.edges[`${from}>${to}`] = edge;
    return edge;
  }

  createNode(name) {
    const [x, y] = this.positions[name];
    const textLine = (lineY, className) => svg("text", { x: 10, y: lineY, class: className });
    const texts = { rate: textLine(58, "rate"), backlog: textLine(76, "small"), oldest: textLine(90, "small") };
    const group = svg("g", { class: "node", "data-stage": name, transform: `translate(${x} ${y})` },
      svg("rect", { width: NODE_WIDTH, height: NODE_HEIGHT, rx: 10 }),
      svg("text", { x: 10, y: 20, class: "title" }, NODES[name].title),
      svg("text", { x: 10, y: 36, class: "small" }, NODES[name].does),
      texts.rate, texts.backlog, texts.oldest);
    this.nodes[name] = { group, ...texts };
    return group;
  }

  // `stages`: name -> {rate, backlog, oldestAgeSeconds, level}; null: unknown; undefined: the stage has no such figure.
  update(stages) {
    this.lastStages = stages;
    for (const [name, { group, rate, backlog, oldest }] of Object.entries(this.nodes)) {
      const stage = stages[name];
      if (!stage) continue;
      setText(rate, stage.rate === null ? "–/s" : `${stage.rate.toFixed(stage.rate < 10 ? 1 : 0)}/s`);
      setText(backlog, stage.backlog === undefined ? "" : `waiting ${formatNumber(stage.backlog)}`);
      setText(oldest, stage.oldestAgeSeconds ? `oldest ${formatDuration(stage.oldestAgeSeconds)}` : "");
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
