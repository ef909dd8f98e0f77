// Times in the reader's language and time zone: <time> elements become relative times, renewed every 30 seconds;
// exact times of day stay exact. Those with data-short get the short form: "3m", "2h".
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];
const SHORT_UNITS = [["week", 604800], ...UNITS];
const REFRESH_INTERVAL_MS = 30000;
const formatter = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

// For times in the past. A time that lies in the future by the reader's clock is shown as "now".
export function formatRelative(date, now = Date.now()) {
  const seconds = Math.min(0, date.getTime() - now) / 1000;
  for (const [unit, unitSeconds] of UNITS) {
    if (Math.abs(seconds) >= unitSeconds) return formatter.format(Math.trunc(seconds / unitSeconds), unit);
  }
  return formatter.format(0, "second");
}

export function formatShort(date, now = Date.now()) {
  const seconds = Math.max(0, now - date.getTime()) / 1000;
  const [unit, unitSeconds] = SHORT_UNITS.find(([, length]) => seconds >= length) ?? [];
  if (!unit) return formatter.format(0, "second");
  return new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: "narrow" }).format(Math.trunc(seconds / unitSeconds));
}

export function renderTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    element.textContent = "short" in element.dataset ? formatShort(date) : formatRelative(date);
    element.title = date.toLocaleString();
  }
}

const exactFormats = {
  minute: new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" }),
  second: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  millisecond: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }),
};

// Times that the server rendered exactly (macros.html `exact_time`), in the reader's time zone.
export function renderExactTimes(root = document) {
  for (const element of root.querySelectorAll("[data-exact-time]")) {
    const date = new Date(element.dataset.at);
    element.textContent = exactFormats[element.dataset.exactTime].format(date);
    element.title = date.toLocaleString();
  }
}

export function startRelativeTimes() {
  renderTimes();
  renderExactTimes();
  setInterval(renderTimes, REFRESH_INTERVAL_MS);
}
