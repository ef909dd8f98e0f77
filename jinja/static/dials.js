// The post tester: sends real likes and comments, then follows each of them to its end.
import { call } from "./api.js";
import { until } from "./console/countdown.js";
import { clock, el, precise, reconcile, say } from "./console/dom.js";
import { Following } from "./console/following.js";
import { counted } from "./words.js";

// What the configured rules will do with so many likes, if their window is fresh.
export function hint(likes, instant, window) {
  if (likes <= instant) return { kind: "told", text: `${counted(likes, "like")}: told at once, each by name` };
  const held = likes - instant;
  const first = instant ? `the first ${instant} at once, ` : "";
  return { kind: "held", text: `${counted(likes, "like")}: ${first}${held} in one line when the window closes (${window})` };
}

const moment = (one, name) => one.steps.find((step) => step.name === name)?.at;

function became(one) {
  if (one.stand === "held") return one.dueAt ? ["held until ", until(one.dueAt)] : ["held; its window is closing"];
  if (one.stand === "ended") return [`not told: ${one.outcome}`];
  if (one.stand === "announced") {
    const how = one.instant ? "told at once" : "held, then written and announced";
    return [`${how}, ${precise(moment(one, "emitted"))}`];
  }
  if (one.stand === "written") return [`written ${precise(moment(one, "written") ?? moment(one, "closed") ?? moment(one, "aggregated"))}`];
  return [{ accepted: "accepted", queued: "waits in the fallback queue (is Kafka away?)", published: "on its way through Kafka" }[one.stand]];
}

function summary(events) {
  const many = (test) => events.filter(test).length;
  const held = events.filter((one) => one.stand === "held");
  const parts = [
    [many((one) => one.instant && one.stand === "announced"), "told at once"],
    [held.length, held[0]?.dueAt ? `held until ${clock(held[0].dueAt)}` : "held"],
    [many((one) => !one.instant && one.stand === "announced"), "written and announced after their window"],
    [many((one) => one.stand === "written"), "written"],
    [many((one) => one.stand === "ended"), "not told"],
    [many((one) => ["accepted", "queued", "published"].includes(one.stand)), "on their way"],
  ];
  return parts.filter(([count]) => count).map(([count, words]) => `${count} ${words}`).join(", ");
}

class Sent {
  constructor(root) {
    this.root = root;
    this.sum = root.querySelector("[data-sum]");
    this.list = root.querySelector("[data-list]");
    this.pause = root.querySelector("[data-follow-pause]");
    this.pause.addEventListener("click", () => this.toggle());
    this.names = new Map();
  }

  follow(results) {
    this.following?.stop();
    const sent = results.filter((one) => one.eventId);
    this.names = new Map(sent.map((one) => [one.eventId, one.username.split("_")[1] ?? one.username]));
    this.list.replaceChildren();
    this.root.hidden = sent.length === 0;
    if (sent.length) this.look();
  }

  look() {
    this.pause.setAttribute("aria-pressed", "false");
    this.pause.hidden = false;
    this.following = new Following([...this.names.keys()], {
      told: (events, done) => this.paint(events, done),
      faulty: (error) => say(this.sum, error.message),
    });
  }

  toggle() {
    if (this.pause.getAttribute("aria-pressed") === "true") {
      this.look();
    } else {
      this.following.stop();
      this.pause.setAttribute("aria-pressed", "true");
    }
  }

  paint(events, done) {
    say(this.sum, summary(events));
    this.pause.hidden = done;
    reconcile(this.list, events, (one) => one.eventId,
      (one) => el("li", {}, el("strong", {}, this.names.get(one.eventId)), " ", el("span")),
      (line, one) => {
        line.dataset.stand = one.stand;
        const place = line.lastElementChild;
        const due = place.querySelector("[data-due]");
        if (due && one.stand === "held" && due.dataset.due === one.dueAt) return;
        place.replaceChildren(...became(one));
      });
  }
}

export function startDials(card) {
  const dials = card.querySelector("[data-dials]");
  if (!dials) return;
  const part = (name, value) => dials.querySelector(`[data-${name}${value ? `="${value}"` : ""}]`);
  const value = (name) => Number(part("dial", name).value);
  const told = part("simulated");
  const sent = new Sent(part("sent"));
  const paint = () => {
    const { kind, text } = hint(value("likes"), Number(dials.dataset.instant), dials.dataset.window);
    const line = part("hint", "likes");
    line.classList.toggle("held", kind === "held");
    say(line, text);
  };
  for (const range of dials.querySelectorAll("input[type=range]")) {
    range.addEventListener("input", () => {
      say(range.nextElementSibling, range.value);
      paint();
    });
  }
  paint();
  const about = { postId: card.dataset.post, targetUserId: card.dataset.owner };
  const sends = {
    likes: () => call("POST", "/api/test/simulate-likes", { ...about, count: value("likes"), simulationType: part("dial", "kind").value }),
    comments: () => call("POST", "/api/test/simulate-comments", { ...about, count: value("comments") }),
    cleanup: () => call("DELETE", "/api/test/cleanup"),
  };
  for (const button of dials.querySelectorAll("[data-simulate]")) {
    button.addEventListener("click", async () => {
      button.disabled = true;
      say(told, button.dataset.simulate === "cleanup" ? "Removing simulated people…" : "Making people…");
      try {
        const said = await sends[button.dataset.simulate]();
        const done = said.results?.filter((one) => one.success).length;
        say(told, said.results ? `${done} of ${said.results.length} sent` : said.message);
        if (said.results) sent.follow(said.results);
      } catch (error) {
        say(told, error.message);
      } finally {
        button.disabled = false;
      }
    });
  }
}
