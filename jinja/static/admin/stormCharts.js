// Line charts of a storm: both ways over the seconds since their first like, and one picture of all of them.
/* global Chart */
import { resolveColour } from "./charts.js";
import { byId } from "./dom.js";

// Lines differ by dash pattern as well as by colour.
const LINES = {
  rowPerLike: { label: "row per like", variable: "--series-2", dashes: [6, 3] },
  pipeline: { label: "pipeline", variable: "--series-1", dashes: [] },
  offered: { label: "offered", variable: "--series-3", dashes: [2, 3] },
  queued: { label: "fallback queue", variable: "--series-4", dashes: [9, 3, 2, 3] },
};
const PICTURE_GAP = 16;
const TITLE_HEIGHT = 28;

const secondsBetween = (samples, index) => Math.max(1, samples[index].second - (samples[index - 1]?.second ?? 0));
const ratePerSecond = (name) => (samples) => samples.map((sample, index) => ({
  x: sample.second, y: Math.max(0, sample[name] - (samples[index - 1]?.[name] ?? 0)) / secondsBetween(samples, index),
}));
const values = (select) => (samples) => samples.map((sample) => ({ x: sample.second, y: select(sample) }));
const notWritten = (sample) => (sample.written === null ? null : Math.max(0, sample.accepted - sample.written));

// Chart id -> its lines: [line, way whose samples it shows, points of those samples].
const CHARTS = {
  "storm-answered": [["offered", "rowPerLike", ratePerSecond("offered")], ["rowPerLike", "rowPerLike", ratePerSecond("accepted")], ["pipeline", "pipeline", ratePerSecond("accepted")]],
  "storm-waiting": [["rowPerLike", "rowPerLike", values(notWritten)], ["pipeline", "pipeline", values(notWritten)], ["queued", "pipeline", values((sample) => sample.queued)]],
  "storm-answer": [["rowPerLike", "rowPerLike", values((sample) => sample.answerP99Ms)], ["pipeline", "pipeline", values((sample) => sample.answerP99Ms)]],
  "storm-reader": [["rowPerLike", "rowPerLike", values((sample) => sample.readerP99Ms)], ["pipeline", "pipeline", values((sample) => sample.readerP99Ms)]],
};

export class StormCharts {
  constructor() {
    this.charts = {};
    if (!globalThis.Chart) return; // the table below remains
    for (const [id, lines] of Object.entries(CHARTS)) this.charts[id] = this.createChart(id, lines);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.applyColours());
    this.applyColours();
  }

  // False without the library.
  get areShown() {
    return Object.keys(this.charts).length > 0;
  }

  createChart(id, lines) {
    return new Chart(byId(id), {
      type: "line",
      data: { datasets: lines.map(([line]) => ({ label: LINES[line].label, data: [], pointRadius: 0, borderWidth: 2, borderDash: LINES[line].dashes })) },
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: "nearest", axis: "x", intersect: false },
        scales: {
          x: { type: "linear", min: 0, suggestedMax: 10, title: { display: true, text: "seconds" }, ticks: { maxTicksLimit: 8, precision: 0 } },
          y: { beginAtZero: true, suggestedMax: 5, ticks: { precision: 0 } },
        },
        plugins: { legend: { position: "bottom", labels: { boxWidth: 28, boxHeight: 2 } } },
      },
    });
  }

  applyColours() {
    for (const [id, chart] of Object.entries(this.charts)) {
      chart.data.datasets.forEach((dataset, index) => {
        const colour = resolveColour(LINES[CHARTS[id][index][0]].variable);
        Object.assign(dataset, { borderColor: colour, backgroundColor: colour });
      });
      for (const axis of Object.values(chart.options.scales)) {
        axis.ticks.color = resolveColour("--text-muted");
        axis.grid = { color: resolveColour("--border") };
        if (axis.title) axis.title.color = resolveColour("--text-muted");
      }
      chart.options.plugins.legend.labels.color = resolveColour("--text");
      chart.update("none");
    }
  }

  show(samples) {
    for (const [id, chart] of Object.entries(this.charts)) {
      CHARTS[id].forEach(([, way, points], index) => {
        chart.data.datasets[index].data = points(samples.filter((sample) => sample.way === way));
      });
      chart.update("none");
    }
  }

  // All charts below each other, with their titles, as a PNG.
  toBlob() {
    const canvases = Object.keys(this.charts).map(byId);
    const scale = globalThis.devicePixelRatio || 1;
    const heightOf = (canvas) => canvas.height / scale + TITLE_HEIGHT + PICTURE_GAP;
    const picture = document.createElement("canvas");
    const width = Math.max(...canvases.map((canvas) => canvas.width / scale)) + 2 * PICTURE_GAP;
    const height = canvases.reduce((sum, canvas) => sum + heightOf(canvas), PICTURE_GAP);
    Object.assign(picture, { width: width * scale, height: height * scale });
    const context = picture.getContext("2d");
    context.scale(scale, scale);
    context.fillStyle = resolveColour("--surface");
    context.fillRect(0, 0, width, height);
    context.font = `600 16px ${getComputedStyle(document.body).fontFamily}`;
    let top = PICTURE_GAP;
    for (const canvas of canvases) {
      context.fillStyle = resolveColour("--text");
      context.fillText(canvas.dataset.title, PICTURE_GAP, top + 16);
      context.drawImage(canvas, PICTURE_GAP, top + TITLE_HEIGHT, canvas.width / scale, canvas.height / scale);
      top += heightOf(canvas);
    }
    return new Promise((resolve) => picture.toBlob(resolve, "image/png"));
  }
}
