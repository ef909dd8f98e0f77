// Post simulator: sends real likes and comments of simulated users, then shows the status of each event to its end.
// In: the <details data-simulator> of a post card. Out: POST /api/test/simulate-*, DELETE /api/test/cleanup.
import { countdown } from "./admin/countdown.js";
import { el, formatPreciseTime, formatTime, reconcileChildren, setText } from "./admin/dom.js";
import { EventTracker, MAX_TRACKED_EVENTS } from "./admin/eventTracker.js";
import { callApi } from "./api.js";
import { formatCount } from "./plurals.js";
import { sendSimulatedLikes } from "./simulatedLikes.js";

// What the configured aggregation rules do with `likes` likes when no window is open.
function predictLikes(likes, instantLikes, windowText) {
  if (likes <= instantLikes) return { isWindowed: false, text: `${formatCount(likes, "like")}: announced at once, each by name` };
  const windowed = likes - instantLikes;
  const instantText = instantLikes ? `the first ${instantLikes} at once, ` : "";
  const text = `${formatCount(likes, "like")}: ${instantText}${windowed} in one line when the window closes (${windowText})`;
  return { isWindowed: true, text };
}

const stepTime = (event, stepName) => event.steps.find((step) => step.name === stepName)?.at;

// The status of one event, as text and elements.
function describeStatus(event) {
  if (event.status === "windowed") return event.dueAt ? ["held until ", countdown(event.dueAt)] : ["held; its window is closing"];
  if (event.status === "ended") return [`not announced: ${event.outcome}`];
  if (event.status === "announced") {
    const how = event.instant ? "announced at once" : "held, then written and announced";
    return [`${how}, ${formatPreciseTime(stepTime(event, "emitted"))}`];
  }
  if (event.status === "written") {
    const writtenAt = stepTime(event, "written") ?? stepTime(event, "closed") ?? stepTime(event, "aggregated");
    return [`written ${formatPreciseTime(writtenAt)}`];
  }
  return [{ accepted: "accepted", queued: "waits in the fallback queue (is Kafka unavailable?)", published: "on its way through Kafka" }[event.status]];
}

function summarize(events) {
  const countWhere = (predicate) => events.filter(predicate).length;
  const heldEvents = events.filter((event) => event.status === "windowed");
  const parts = [
    [countWhere((event) => event.instant && event.status === "announced"), "announced at once"],
    [heldEvents.length, heldEvents[0]?.dueAt ? `held until ${formatTime(heldEvents[0].dueAt)}` : "held"],
    [countWhere((event) => !event.instant && event.status === "announced"), "written and announced after their window"],
    [countWhere((event) => event.status === "written"), "written"],
    [countWhere((event) => event.status === "ended"), "not announced"],
    [countWhere((event) => ["accepted", "queued", "published"].includes(event.status)), "on their way"],
  ];
  return parts.filter(([count]) => count).map(([count, label]) => `${count} ${label}`).join(", ");
}

// The list of events that were sent, with a summary and a button that pauses the tracking.
class TrackedEvents {
  constructor(root) {
    this.root = root;
    this.summary = root.querySelector("[data-summary]");
    this.list = root.querySelector("[data-list]");
    this.pauseButton = root.querySelector("[data-tracking-pause]");
    this.pauseButton.addEventListener("click", () => this.togglePause());
    this.namesByEventId = new Map();
  }

  // Of many events the first are tracked; `count` is the number of all.
  track(results, count) {
    this.tracker?.stop();
    this.scope = count > MAX_TRACKED_EVENTS ? `Of the first ${MAX_TRACKED_EVENTS}: ` : "";
    const sent = results.filter((result) => result.eventId).slice(0, MAX_TRACKED_EVENTS);
    this.namesByEventId = new Map(sent.map((result) => [result.eventId, result.username.split("_")[1] ?? result.username]));
    this.root.hidden = sent.length === 0;
    if (sent.length) this.startTracker();
  }

  startTracker() {
    this.pauseButton.setAttribute("aria-pressed", "false");
    this.pauseButton.hidden = false;
    this.tracker = new EventTracker([...this.namesByEventId.keys()], {
      onUpdate: (events, isDone) => this.render(events, isDone),
      onError: (error) => setText(this.summary, error.message),
    });
  }

  togglePause() {
    if (this.pauseButton.getAttribute("aria-pressed") === "true") {
      this.startTracker();
    } else {
      this.tracker.stop();
      this.pauseButton.setAttribute("aria-pressed", "true");
    }
  }

  render(events, isDone) {
    setText(this.summary, this.scope + summarize(events));
    this.pauseButton.hidden = isDone;
    reconcileChildren(this.list, events, (event) => event.eventId,
      (event) => el("li", {}, el("strong", {}, this.namesByEventId.get(event.eventId)), " ", el("span")),
      (item, event) => {
        item.dataset.status = event.status;
        const description = item.lastElementChild;
        const due = description.querySelector("[data-due]");
        if (due && event.status === "windowed" && due.dataset.due === event.dueAt) return;
        description.replaceChildren(...describeStatus(event));
      });
  }
}

export function startSimulator(postCard) {
  const simulator = postCard.querySelector("[data-simulator]");
  if (!simulator) return;
  const part = (name, value) => simulator.querySelector(`[data-${name}${value ? `="${value}"` : ""}]`);
  const setting = (name) => part("setting", name);
  const result = part("simulator-result");
  const trackedEvents = new TrackedEvents(part("tracked-events"));
  const post = { postId: postCard.dataset.post, authorId: postCard.dataset.author };

  const renderPrediction = () => {
    const likes = setting("likes");
    const isValid = likes.validity.valid && likes.value !== "";
    const { isWindowed, text } = isValid
      ? predictLikes(Number(likes.value), Number(simulator.dataset.instant), simulator.dataset.window)
      : { isWindowed: false, text: `${likes.min} to ${likes.max} likes` };
    const hint = part("hint", "likes");
    hint.classList.toggle("held", isWindowed);
    setText(hint, text);
  };
  setting("likes").addEventListener("input", renderPrediction);
  renderPrediction();

  // Each yields the results of one or several requests.
  const senders = {
    likes: (count) => sendSimulatedLikes(post, count, setting("kind").value),
    async* comments(count) {
      yield (await callApi("POST", "/api/test/simulate-comments", { postId: post.postId, targetUserId: post.authorId, count })).results;
    },
  };
  const send = async (kind, count) => {
    const results = [];
    setText(result, "Making people…");
    for await (const newResults of senders[kind](count)) {
      const isTracked = results.length < MAX_TRACKED_EVENTS;
      results.push(...newResults);
      if (isTracked) trackedEvents.track(results, count);
      setText(result, `${results.filter(({ success }) => success).length} of ${count} sent`);
    }
  };
  const cleanUp = async () => {
    setText(result, "Removing simulated people…");
    setText(result, (await callApi("DELETE", "/api/test/cleanup")).message);
  };

  for (const button of simulator.querySelectorAll("[data-simulate]")) {
    button.addEventListener("click", async () => {
      const kind = button.dataset.simulate;
      const field = setting(kind);
      if (field && !field.reportValidity()) return;
      button.disabled = true;
      try {
        await (field ? send(kind, Number(field.value)) : cleanUp());
      } catch (error) {
        setText(result, error.message);
      } finally {
        button.disabled = false;
      }
    });
  }
}
