// Elects the one tab of a user that shows toasts, and knows what is visible in any tab.
//
// Uses Web Locks: the tab that holds the lock is the leader, and the browser releases the lock of a closed tab. A tab
// that gets the focus takes the lock over. Without Web Locks (plain HTTP on another host) the focused tab is the leader.
const locks = navigator.locks;

export class TabLeader {
  isLeader = false;
  lockRequest = null;
  claimedKeys = new Set(); // keys claimed by any tab: leadership may change between two events

  constructor(userId) {
    this.name = `toasts:${userId}`;
    this.visiblePrefix = `screen:${userId}:`;
    this.channel = new BroadcastChannel(this.name);
    this.channel.addEventListener("message", ({ data }) => this.claimedKeys.add(data));
    if (!locks) return;
    this.requestLock(document.visibilityState === "visible");
    addEventListener("focus", () => this.isLeader || this.requestLock(true));
  }

  // One lock request per tab: a later one aborts the earlier one.
  requestLock(steal) {
    this.lockRequest?.abort();
    const lockRequest = (this.lockRequest = new AbortController());
    const onGranted = () => {
      if (lockRequest.signal.aborted) return null;
      this.isLeader = true;
      return new Promise(() => {}); // held until this tab closes or another tab steals the lock
    };
    const options = steal ? { steal } : { signal: lockRequest.signal };
    locks.request(this.name, options, onGranted).catch(() => {
      if (lockRequest.signal.aborted) return;
      this.isLeader = false;
      this.requestLock(false);
    });
  }

  // Returns true once per key, and only in the leading tab.
  claim(key) {
    if (!(locks ? this.isLeader : document.hasFocus()) || this.claimedKeys.has(key)) return false;
    this.claimedKeys.add(key);
    this.channel.postMessage(key);
    return true;
  }

  // Marks `content` (a path, or "list") as displayed by this tab while the tab is visible; returns the function that ends it.
  holdVisible(content) {
    let releaseLock = null;
    const update = () => {
      releaseLock?.();
      releaseLock = null;
      if (document.visibilityState === "visible") releaseLock = acquireSharedLock(this.visiblePrefix + content);
    };
    update();
    document.addEventListener("visibilitychange", update);
    return () => {
      document.removeEventListener("visibilitychange", update);
      releaseLock?.();
    };
  }

  async isVisibleInAnyTab(contents) {
    if (!locks) return false;
    const { held } = await locks.query();
    return held.some(({ name }) => contents.includes(name.slice(this.visiblePrefix.length)) && name.startsWith(this.visiblePrefix));
  }
}

// Returns the function that releases the lock.
function acquireSharedLock(name) {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  locks?.request(name, { mode: "shared" }, () => released);
  return release;
}
