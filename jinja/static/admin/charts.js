// Line charts of the last fifteen minutes, each with a table of the same figures. Drawn by Chart.js; without it the tables remain.
/* global Chart */
import { byId, el, formatNumber, formatTime } from "./dom.js";

const RETENTION_MS = 15 * 60 * 1000;
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
    const isWide = matchMedia("(min-width: 60rem)").matches;
    this.chart = new Chart(byId(this.id), {
      type: "line",
      data: { datasets: this.names.map((label) => ({ label, data: [], pointRadius: 0, borderWidth: 2, tension: 0.2, spanGaps: false })) },
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        scales: {
          x: { type: "linear", ticks: { maxTicksLimit: 4, maxRotation: 0, callback: (at) => formatTime(at) } },
          y: { beginAtZero: true, suggestedMax: 5, ticks: { precision: 0, maxTicksLimit: 5 } },
        },
        plugins: {
          legend: { position: isWide ? "right" : "bottom", labels: { boxWidth: 24, boxHeight: 2 } },
          tooltip: { callbacks: { title: ([item]) => formatTime(item.parsed.x) } },
        },
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

  // `values` has one number per line; null where it is unknown. `at` in milliseconds.
  add(at, values) {
    this.addAll([{ at, values }]);
  }

  // The samples may be older than those that are drawn already.
  addAll(samples) {
    const all = [...this.samples, ...samples].sort((one, other) => one.at - other.at);
    if (!all.length) return;
    const newestAt = all.at(-1).at;
    this.samples = all.filter(({ at }) => at >= newestAt - RETENTION_MS);
    if (this.chart) this.drawUntil(newestAt);
    this.renderTable();
  }

  drawUntil(newestAt) {
    Object.assign(this.chart.options.scales.x, { min: newestAt - RETENTION_MS, max: newestAt });
    this.chart.data.datasets.forEach((dataset, index) => (dataset.data = this.samples.map(({ at, values }) => ({ x: at, y: values[index] }))));
    this.chart.update("none");
  }

  renderTable() {
    const newest = this.samples.slice(-MAX_TABLE_ROWS).reverse();
    byId(`${this.id}-rows`).replaceChildren(...newest.map(({ at, values }) => el("tr", {},
      el("th", { scope: "row" }, formatTime(at)),
      ...values.map((value) => el("td", { class: "numeric" }, value === null ? "?" : formatNumber(Math.round(value * 10) / 10))))));
  }
}
