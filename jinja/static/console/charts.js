// Two charts of the last five minutes, each with its table. Chart.js draws; a page without it has the tables.
/* global Chart */
import { byId, clock, el, number } from "./dom.js";

const KEPT_MS = 5 * 60 * 1000;
const ROWS = 20;
// Told apart by dashes as well as by colour.
const LINES = [["--series-1", []], ["--series-2", [6, 3]], ["--series-3", [2, 3]], ["--series-4", [9, 3, 2, 3]]];

// A token may be light-dark(...), which a canvas does not understand: a throw-away element resolves it.
function colour(token) {
  const probe = el("span");
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export class Series {
  constructor(id, names) {
    Object.assign(this, { id, names, samples: [] });
    const head = byId(`${id}-head`);
    head.replaceChildren(el("th", { scope: "col" }, "At"), ...names.map((name) => el("th", { scope: "col" }, name)));
    if (globalThis.Chart) this.draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.chart && this.dress());
  }

  draw() {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.chart = new Chart(byId(this.id), {
      type: "line",
      data: { labels: [], datasets: this.names.map((label) => ({ label, data: [], pointRadius: 0, borderWidth: 2, tension: 0.2, spanGaps: false })) },
      options: {
        animation: still ? false : { duration: 200 },
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        scales: { x: { ticks: { maxTicksLimit: 5, maxRotation: 0 } }, y: { beginAtZero: true, suggestedMax: 5, ticks: { precision: 0 } } },
        plugins: { legend: { position: "bottom", labels: { boxWidth: 28, boxHeight: 2 } } },
      },
    });
    this.dress();
  }

  dress() {
    this.chart.data.datasets.forEach((set, at) => {
      const [name, dash] = LINES[at % LINES.length];
      Object.assign(set, { borderColor: colour(name), backgroundColor: colour(name), borderDash: dash });
    });
    const { scales, plugins } = this.chart.options;
    for (const axis of [scales.x, scales.y]) {
      axis.ticks.color = colour("--muted");
      axis.grid = { color: colour("--line") };
    }
    plugins.legend.labels.color = colour("--text");
    this.chart.update("none");
  }

  add(at, values) {
    this.samples.push({ at, values });
    while (this.samples[0].at < at - KEPT_MS) this.samples.shift();
    if (this.chart) {
      this.chart.data.labels = this.samples.map((one) => clock(one.at));
      this.chart.data.datasets.forEach((set, place) => (set.data = this.samples.map((one) => one.values[place])));
      this.chart.update();
    }
    this.table();
  }

  table() {
    const rows = this.samples.slice(-ROWS).reverse();
    byId(`${this.id}-rows`).replaceChildren(...rows.map(({ at, values }) => el("tr", {},
      el("th", { scope: "row" }, clock(at)),
      ...values.map((value) => el("td", { class: "figure" }, value === null ? "?" : number(Math.round(value * 10) / 10))))));
  }
}
