// The figures of all stages: rates from one look to the next, and whether the books balance.
import { el, number, reconcile, say, seconds } from "./dom.js";

const COLUMNS = ["in", "out", "held", "failed", "lag"];
let before = null;

// What a stage let go since the last look, per second.
export function rates(stages, now) {
  const found = {};
  for (const { name, out } of stages) {
    const old = before?.stages[name];
    const passed = before ? (now - before.at) / 1000 : 0;
    // Figures that fell began anew (a FLUSHALL), or nobody told them: no rate can be told.
    const known = Number.isInteger(old) && Number.isInteger(out) && passed > 0 && out >= old;
    found[name] = known ? (out - old) / passed : null;
  }
  before = { at: now, stages: Object.fromEntries(stages.map(({ name, out }) => [name, out])) };
  return found;
}

export function balance(stage) {
  const parts = [stage.in, stage.out, stage.held, stage.failed];
  return parts.some((part) => part === null) ? null : stage.in - stage.out - stage.held - stage.failed;
}

function verdict(stage) {
  const off = balance(stage);
  if (off === null) return "not told";
  return off === 0 ? "✓ balanced" : `${off > 0 ? "+" : ""}${off} on the way`;
}

function row(stage) {
  return el("tr", {}, el("th", { scope: "row" }, stage.name),
    ...[...COLUMNS, "oldest", "rate", "balance"].map((name) => el("td", { "data-cell": name })));
}

function paint(line, { stage, rate }) {
  const cell = (name) => line.querySelector(`[data-cell="${name}"]`);
  for (const name of COLUMNS) say(cell(name), number(stage[name]));
  say(cell("oldest"), seconds(stage.oldestAgeSeconds));
  say(cell("rate"), rate === null ? "–" : `${rate.toFixed(1)}/s`);
  say(cell("balance"), verdict(stage));
  const outcomes = Object.entries(stage.outcomes ?? {}).map(([name, count]) => `${name} ${number(count)}`);
  line.title = outcomes.join(", ");
}

export function paintStages(body, stages, found) {
  const lines = stages.map((stage) => ({ stage, rate: found[stage.name] }));
  reconcile(body, lines, ({ stage }) => stage.name, ({ stage }) => row(stage), paint);
}
