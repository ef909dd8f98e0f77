// Table of all pipeline stages: counters, rates since the last poll, and whether in = out + held + failed.
import { el, formatDuration, formatNumber, reconcileChildren, setText } from "./dom.js";

const COUNTER_COLUMNS = ["in", "out", "held", "failed", "lag"];

export class RateMeter {
  previous = null; // {at, out: {stage name: count}} of the last call

  // Items per second that each stage completed since the last call; null if unknown. `at` in milliseconds.
  measure(stages, at) {
    const rates = {};
    for (const { name, out } of stages) {
      const previousOut = this.previous?.out[name];
      const elapsedSeconds = this.previous ? (at - this.previous.at) / 1000 : 0;
      // A counter that fell was reset (FLUSHALL), and one that is null is unavailable: no rate.
      const isKnown = Number.isInteger(previousOut) && Number.isInteger(out) && elapsedSeconds > 0 && out >= previousOut;
      rates[name] = isKnown ? (out - previousOut) / elapsedSeconds : null;
    }
    this.previous = { at, out: Object.fromEntries(stages.map(({ name, out }) => [name, out])) };
    return rates;
  }
}

// Items that are unaccounted for; null if a counter is unknown.
function imbalance(stage) {
  const counters = [stage.in, stage.out, stage.held, stage.failed];
  return counters.some((counter) => counter === null) ? null : stage.in - stage.out - stage.held - stage.failed;
}

function balanceText(stage) {
  const difference = imbalance(stage);
  if (difference === null) return "unknown";
  return difference === 0 ? "✓ balanced" : `${difference > 0 ? "+" : ""}${difference} on the way`;
}

function createRow(stage) {
  return el("tr", {}, el("th", { scope: "row" }, stage.name),
    ...[...COUNTER_COLUMNS, "oldest", "rate", "balance"].map((name) => el("td", { "data-cell": name })));
}

function updateRow(row, { stage, rate }) {
  const cell = (name) => row.querySelector(`[data-cell="${name}"]`);
  for (const name of COUNTER_COLUMNS) setText(cell(name), formatNumber(stage[name]));
  setText(cell("oldest"), formatDuration(stage.oldestAgeSeconds));
  setText(cell("rate"), rate === null ? "–" : `${rate.toFixed(1)}/s`);
  setText(cell("balance"), balanceText(stage));
  const outcomes = Object.entries(stage.outcomes ?? {}).map(([name, count]) => `${name} ${formatNumber(count)}`);
  row.title = outcomes.join(", ");
}

export function renderStages(body, stages, rates) {
  const items = stages.map((stage) => ({ stage, rate: rates[stage.name] }));
  reconcileChildren(body, items, ({ stage }) => stage.name, ({ stage }) => createRow(stage), updateRow);
}
