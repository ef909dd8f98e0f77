// The figures at the top of the dashboard: events accepted and waiting, the oldest of them, failed checks, mail.
import { formatDuration, formatNumber, setText } from "./dom.js";
import { stageTitle } from "./pipelineDiagram.js";

// Stages whose backlog is the number of items they hold; for the others it is their lag.
const STAGES_WITH_HELD_BACKLOG = new Set(["flusher", "fallback", "mail"]);
export const backlogOf = (stage) => (STAGES_WITH_HELD_BACKLOG.has(stage.name) ? stage.held : stage.lag);

const formatRate = (rate) => (rate === null || rate === undefined ? "–" : `${rate.toFixed(rate < 10 ? 1 : 0)}/s`);

function show(name, value, detail, level = "ok") {
  const figure = document.querySelector(`[data-figure="${name}"]`);
  const [valueElement, detailElement] = figure.querySelectorAll("dd");
  figure.dataset.level = level;
  setText(valueElement, value);
  setText(detailElement, detail);
  detailElement.title = detail;
}

function showWaiting(stages) {
  const backlogs = stages.map((stage) => [stage, backlogOf(stage)]);
  const known = backlogs.filter(([, backlog]) => backlog !== null);
  const total = known.reduce((sum, [, backlog]) => sum + backlog, 0);
  const largest = known.filter(([, backlog]) => backlog > 0).sort((one, other) => other[1] - one[1])[0];
  const where = largest ? `most: ${stageTitle(largest[0].name)}, ${formatNumber(largest[1])}` : "nothing waits";
  const unknownCount = backlogs.length - known.length;
  show("waiting", formatNumber(total), unknownCount ? `unknown in ${unknownCount} stages` : where, unknownCount ? "warning" : "ok");
}

function showOldest(stages) {
  const oldest = stages.filter((stage) => stage.oldestAgeSeconds).sort((one, other) => other.oldestAgeSeconds - one.oldestAgeSeconds)[0];
  const gathered = stages.some((stage) => backlogOf(stage) > 0);
  if (!oldest) return show("oldest", "–", gathered ? "gathered until windows close" : "nothing waits");
  return show("oldest", formatDuration(oldest.oldestAgeSeconds), stageTitle(oldest.name), oldest.level);
}

function showErrors(stages, problems) {
  const errorCount = problems.filter(({ level }) => level === "error").length;
  const warningCount = problems.length - errorCount;
  const failedCount = stages.reduce((sum, stage) => sum + (stage.failed ?? 0), 0);
  const first = problems.find(({ level }) => level === "error") ?? problems[0];
  const warnings = warningCount ? `, ${warningCount} warning${warningCount === 1 ? "" : "s"}` : "";
  const level = errorCount ? "error" : warningCount ? "warning" : "ok";
  show("errors", `${errorCount}${warnings}`, first ? `${first.stage}: ${first.check}` : `${formatNumber(failedCount)} events failed`, level);
}

function showMail(mail, problems) {
  const problem = problems.find(({ stage }) => stage === "mail");
  const oldest = mail.oldestAgeSeconds ? `, oldest ${formatDuration(mail.oldestAgeSeconds)}` : "";
  show("mail", `${formatNumber(mail.held)} waiting`, `${formatNumber(mail.out)} done, ${formatNumber(mail.failed)} failed${oldest}`, problem?.level ?? "ok");
}

// `stages` and `problems` of GET /api/admin/pipeline; `rates`: items per second by stage.
export function renderFigures(stages, rates, problems) {
  show("accepted", formatRate(rates.bridge), `${formatRate(rates.deliverer)} delivered`);
  showWaiting(stages);
  showOldest(stages);
  showErrors(stages, problems);
  showMail(stages.find((stage) => stage.name === "mail"), problems);
}
