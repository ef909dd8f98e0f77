// Which of a person's tabs shows toasts, and what is on screen in any of them.
//
// Web Locks: whoever holds the lock leads, and a tab that dies gives it back by itself. The tab that
// was looked at last takes it. Where there are no locks (plain HTTP elsewhere) the focused tab leads.
const locks = navigator.locks;

export class Leader {
  leads = false;
  asking = null;
  shown = new Set(); // what some tab has shown already: the lock may change hands between two frames

  constructor(me) {
    this.name = `toasts:${me}`;
    this.screens = `screen:${me}:`;
    this.channel = new BroadcastChannel(this.name);
    this.channel.addEventListener("message", ({ data }) => this.shown.add(data));
    if (!locks) return;
    this.ask(document.visibilityState === "visible");
    addEventListener("focus", () => this.leads || this.ask(true));
  }

  // One request per tab: a later one makes the earlier void.
  ask(steal) {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const hold = () => {
      if (asking.signal.aborted) return null;
      this.leads = true;
      return new Promise(() => {}); // until this tab goes, or another takes it
    };
    const options = steal ? { steal } : { signal: asking.signal };
    locks.request(this.name, options, hold).catch(() => {
      if (asking.signal.aborted) return;
      this.leads = false;
      this.ask(false);
    });
  }

  // Whether this tab is the one to show it; says so once.
  takes(key) {
    if (!(locks ? this.leads : document.hasFocus()) || this.shown.has(key)) return false;
    this.shown.add(key);
    this.channel.postMessage(key);
    return true;
  }

  // This tab shows `what` while it is visible, until the returned function is called.
  shows(what) {
    let release = null;
    const visible = () => {
      release?.();
      release = null;
      if (document.visibilityState === "visible") release = held(this.screens + what);
    };
    visible();
    document.addEventListener("visibilitychange", visible);
    return () => {
      document.removeEventListener("visibilitychange", visible);
      release?.();
    };
  }

  async onScreen(what) {
    if (!locks) return false;
    const { held: taken } = await locks.query();
    return taken.some((one) => what.includes(one.name.slice(this.screens.length)) && one.name.startsWith(this.screens));
  }
}

function held(name) {
  let release;
  const over = new Promise((done) => (release = done));
  locks?.request(name, { mode: "shared" }, () => over);
  return release;
}
