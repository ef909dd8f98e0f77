// The number of unread groups: on the bell, in the title, in the favicon, and said aloud now and then.
import { noun } from "../words.js";

const QUIET_MS = 5000;
const short = (count) => (count > 99 ? "99+" : String(count));

export class Badge {
  version = -1;
  said = 0; // the count that was said last, or that was there before anybody could be told
  spokenAt = -Infinity;
  timer = null;

  constructor(button, announcer) {
    this.button = button;
    this.badge = button.querySelector(".badge");
    this.announcer = announcer;
    this.icon = document.querySelector('link[rel="icon"]');
    this.plain = this.icon?.href;
    this.title = document.title;
    this.count = this.said = Number(this.badge.dataset.count ?? 0);
    this.draw();
  }

  // An older version never replaces a newer one.
  paint(count, version) {
    if (version < this.version) return;
    this.version = version;
    const more = count > this.count;
    this.count = count;
    if (more) this.fresh(true);
    this.draw();
    this.tell();
  }

  // Red while there is something that was not seen yet.
  fresh(yes) {
    this.badge.classList.toggle("calm", !yes);
  }

  draw() {
    const { count } = this;
    this.badge.dataset.count = count;
    this.badge.textContent = short(count);
    this.badge.hidden = count === 0;
    this.button.setAttribute("aria-label", `Notifications, ${count} unread`);
    document.title = count ? `(${short(count)}) ${this.title}` : this.title;
    if (this.icon) this.icon.href = count ? drawn(short(count)) : this.plain;
  }

  // Increases only, and not more often than once in five seconds.
  tell() {
    if (this.count <= this.said) this.said = Math.min(this.said, this.count);
    if (this.timer !== null || this.count <= this.said) return;
    const wait = Math.max(0, this.spokenAt + QUIET_MS - performance.now());
    this.timer = setTimeout(() => this.speak(), wait);
  }

  speak() {
    this.timer = null;
    if (this.count <= this.said) return;
    this.spokenAt = performance.now();
    this.said = this.count;
    this.announcer.textContent = `${this.count} unread ${noun(this.count, "notification")}`;
  }
}

function drawn(text) {
  const size = text.length > 2 ? 11 : 14;
  return `data:image/svg+xml,${encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="12" fill="#b3261e"/>' +
      `<text x="12" y="17" font-family="sans-serif" font-weight="700" font-size="${size}" fill="#fff" text-anchor="middle">${text}</text></svg>`,
  )}`;
}
