// Number of unread notification groups: on the bell button, in the page title, in the favicon, and announced to screen readers.
import { pluralize } from "../plurals.js";

const ANNOUNCE_INTERVAL_MS = 5000;
const formatBadge = (count) => (count > 99 ? "99+" : String(count));

export class UnreadBadge {
  version = -1;
  announcedCount = 0; // the count announced last, or the one at page load
  lastAnnouncedAt = -Infinity;
  announceTimer = null;

  constructor(button, announcer) {
    this.button = button;
    this.badge = button.querySelector(".badge");
    this.announcer = announcer;
    this.faviconLink = document.querySelector('link[rel="icon"]');
    this.plainFavicon = this.faviconLink?.href;
    this.plainTitle = document.title;
    this.count = this.announcedCount = Number(this.badge.dataset.count ?? 0);
    this.render();
  }

  // An older version never replaces a newer one.
  update(count, version) {
    if (version < this.version) return;
    this.version = version;
    const isIncrease = count > this.count;
    this.count = count;
    if (isIncrease) this.setHasUnseen(true);
    this.render();
    this.scheduleAnnouncement();
  }

  // The badge is red while there are unseen notifications.
  setHasUnseen(hasUnseen) {
    this.badge.classList.toggle("all-seen", !hasUnseen);
  }

  render() {
    const { count } = this;
    this.badge.dataset.count = count;
    this.badge.textContent = formatBadge(count);
    this.badge.hidden = count === 0;
    this.button.setAttribute("aria-label", `Notifications, ${count} unread`);
    document.title = count ? `(${formatBadge(count)}) ${this.plainTitle}` : this.plainTitle;
    if (this.faviconLink) this.faviconLink.href = count ? faviconWithCount(formatBadge(count)) : this.plainFavicon;
  }

  // Announces increases only, and at most once per ANNOUNCE_INTERVAL_MS.
  scheduleAnnouncement() {
    if (this.count <= this.announcedCount) this.announcedCount = Math.min(this.announcedCount, this.count);
    if (this.announceTimer !== null || this.count <= this.announcedCount) return;
    const delayMs = Math.max(0, this.lastAnnouncedAt + ANNOUNCE_INTERVAL_MS - performance.now());
    this.announceTimer = setTimeout(() => this.announceCount(), delayMs);
  }

  announceCount() {
    this.announceTimer = null;
    if (this.count <= this.announcedCount) return;
    this.lastAnnouncedAt = performance.now();
    this.announcedCount = this.count;
    this.announcer.textContent = `${this.count} unread ${pluralize(this.count, "notification")}`;
  }
}

function faviconWithCount(text) {
  const size = text.length > 2 ? 11 : 14;
  return `data:image/svg+xml,${encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="12" fill="#b3261e"/>' +
      `<text x="12" y="17" font-family="sans-serif" font-weight="700" font-size="${size}" fill="#fff" text-anchor="middle">${text}</text></svg>`,
  )}`;
}
