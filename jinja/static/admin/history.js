// The two charts of the dashboard: they start with the samples of the last fifteen minutes, which the server keeps, and
// go on with each poll.
import { callApi } from "../api.js";
import { TimeSeriesChart } from "./charts.js";
import { byId, setText } from "./dom.js";
import { RateMeter } from "./stages.js";

const RATES = { accepted: "bridge", aggregated: "aggregator", delivered: "deliverer", logged: "delivery-log" };

export class PipelineCharts {
  constructor() {
    this.ratesChart = new TimeSeriesChart("chart-rates", Object.keys(RATES));
    this.waitingChart = new TimeSeriesChart("chart-waiting", ["ingress", "fallback", "windows", "Kafka"]);
  }

  // Resolves to the last sample, as RateMeter keeps it; null if there is none.
  async loadHistory() {
    const result = byId("history-result");
    const meter = new RateMeter();
    try {
      const { samples, stale } = await callApi("GET", "/api/admin/pipeline/history");
      const points = samples.map(({ at, stages }) => {
        const named = Object.entries(stages).map(([name, figures]) => ({ name, ...figures }));
        return { at: new Date(at).getTime(), stages: named };
      });
      this.draw(points.map(({ at, stages }) => ({ at, stages, rates: meter.measure(stages, at) })));
      setText(result, stale ? "The last fifteen minutes cannot be shown: Redis does not respond." : samples.length ? "" : "The charts start now: there are no earlier samples.");
    } catch (error) {
      setText(result, `The last fifteen minutes cannot be shown: ${error.message}`);
    }
    return meter.previous;
  }

  // `points`: [{at, stages, rates}], `at` in milliseconds.
  draw(points) {
    this.ratesChart.addAll(points.map(({ at, rates }) => ({ at, values: Object.values(RATES).map((stage) => rates[stage] ?? null) })));
    this.waitingChart.addAll(points.map(({ at, stages }) => {
      const byName = Object.fromEntries(stages.map((stage) => [stage.name, stage]));
      return { at, values: [byName.bridge?.held, byName.fallback?.held, byName.flusher?.held, byName.aggregator?.lag].map((value) => value ?? null) };
    }));
  }
}
