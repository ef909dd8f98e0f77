// Times in the reader's own zone and words; the server's text stays where there is no script.
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

// Of what has happened. By a clock that is behind it lies ahead, and is "now".
export function ago(when, now = Date.now()) {
  const seconds = Math.min(0, when.getTime() - now) / 1000;
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return relative.format(0, "second");
}

export function paint(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const when = new Date(element.dateTime);
    element.textContent = ago(when);
    element.title = when.toLocaleString();
  }
}

export function startTimes() {
  paint();
  setInterval(paint, 30000);
}
