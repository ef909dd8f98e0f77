// Line charts of the last five minutes, each with a table of the same figures. Drawn by Chart.js; without it the tables remain.
/* global Chart */
import { byId, el, formatNumber, formatTime } from "./dom.js";

const RETENTION_MS = 5 * 60 * 1000;
const MAX_TABLE_ROWS = 20;
// Lines differ by dash pattern as well as by colour.
const LINE_STYLES = [["--series-1", []], ["--series-2", [6, 3]], ["--series-3", [2, 3]], ["--series-4", [9, 3, 2, 3]]];

// Resolves a CSS variable to a colour. It may be light-dark(...), which a canvas does not understand: a temporary element resolves it.
export function resolveColour(variable) {
  const probe = el("span");
  probe.style.color = `var(${variable})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

export class TimeSeriesChart {
  constructor(id, names) {
    Object.assign(this, { id, names, samples: [] });
    const head = byId(`${id}-head`);
    head.replaceChildren(el("th", { scope: "col" }, "At"), ...names.map((name) => el("th", { scope: "col" }, name)));
    if (globalThis.Chart) this.createChart();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.chart && this.applyColours());
  }

  createChart() {
    const isMotionReduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.chart = new Chart(byId(this.id), {
      type: "line",
      data: { labels: [], datasets: this.names.map((label) => ({ label, data: [], pointRadius: 0, borderWidth: 2, tension: 0.2, spanGaps: false })) },
      options: {
        animation: isMotionReduced ? false : { duration: 200 },
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        scales: { x: { ticks: { maxTicksLimit: 5, maxRotation: 0 } }, y: { beginAtZero: true, suggestedMax: 5, ticks: { precision: 0 } } },
        plugins: { legend: { position: "bottom", labels: { boxWidth: 28, boxHeight: 2 } } },
      },
    });
    this.applyColours();
  }

  applyColours() {
    this.chart.data.datasets.forEach((dataset, index) => {
      const [variable, dashes] = LINE_STYLES[index % LINE_STYLES.length];
      Object.assign(dataset, { borderColor: resolveColour(variable), backgroundColor: resolveColour(variable), borderDash: dashes });
    });
    const { scales, plugins } = this.chart.options;
    for (const axis of [scales.x, scales.y]) {
      axis.ticks.color = resolveColour("--text-muted");
      axis.grid = { color: resolveColour("--border") };
    }
    plugins.legend.labels.color = resolveColour("--text");
    this.chart.update("none");
  }

  // `values` has one number per line; null where it is unknown.
  add(at, values) {
    this.samples.push({ at, values });
    while (this.samples[0].at < at - RETENTION_MS) this.samples.shift();
    if (this.chart) {
      this.chart.data.labels = this.samples.map((sample) => formatTime(sample.at));
      this.chart.data.datasets.forEach((dataset, index) => (dataset.data = this.samples.map((sample) => sample.values[index])));
      this.chart.update();
    }
    this.renderTable();
  }

  renderTable() {
    const newest = this.samples.slice(-MAX_TABLE_ROWS).reverse();
    byId(`${this.id}-rows`).replaceChildren(...newest.map(({ at, values }) => el("tr", {},
      el("th", { scope: "row" }, formatTime(at)),
      ...values.map((value) => el("td", { class: "numeric" }, value === null ? "?" : formatNumber(Math.round(value * 10) / 10))))));
  }
}
