// The line to the server. It never gives up, waits a drawn time between tries, and brings a new token each time.
/* global io */
import { freshToken, leave, myId } from "../api.js";

const ANSWER_MS = 2000; // so long may the answer to join_room take
const jittered = (least, spread) => least + spread * Math.random();

// `to`: since() and missing() are asked; joined, frame, badge, post and state are told what comes.
export class Line {
  timer = null;
  asked = 0;
  again = null;
  turning = false;

  constructor(to, events) {
    this.to = to;
    this.socket = io({
      autoConnect: false,
      transports: ["websocket"],
      reconnectionDelay: 500,
      reconnectionDelayMax: 5000,
      randomizationFactor: 0.7,
      auth: (give) => this.identify(give),
    });
    this.socket.on("connect", () => this.join());
    this.socket.on("disconnect", () => this.lost());
    this.socket.on("connect_error", () => this.lost());
    this.socket.on("error", () => this.startOver()); // refused: the token ended in between
    this.socket.on("session_ended", leave);
    this.socket.on("joined", (answer) => to.joined(answer));
    for (const event of events) this.socket.on(event, (data) => to.frame(event, data));
    this.socket.on("unread_count", ({ count, version }) => to.badge(count, version));
    this.socket.on("post_updated", (event) => to.post(event));
    addEventListener("online", () => this.socket.connected || this.startOver(0));
    this.socket.connect();
  }

  identify(give) {
    freshToken().then(
      (token) => give({ token }),
      () => this.startOver(), // no token, no use: the server would let us in and tell us nothing
    );
  }

  join() {
    clearTimeout(this.timer);
    this.asked = performance.now();
    this.socket.emit("join_room", { userId: myId, since: this.to.since() });
  }

  // Something is missing: one question at a time.
  rejoin() {
    this.later(Math.max(0, this.asked + ANSWER_MS - performance.now()));
  }

  // Also when the server could not say where the history stands.
  later(wait = jittered(1000, 2000)) {
    this.again ??= setTimeout(() => {
      this.again = null;
      if (this.socket.connected && this.to.missing()) this.join();
    }, wait);
  }

  lost() {
    this.to.state("reconnecting");
    // A refusal by the server ends the library's own attempts.
    if (!this.socket.active && !this.turning) this.startOver();
  }

  startOver(wait = jittered(2000, 3000)) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.turning = true; // our own end of a connection is no loss of one
      this.socket.disconnect();
      this.turning = false;
      this.socket.connect();
    }, wait);
  }

  ack(id, version) {
    if (this.socket.connected) this.socket.emit("notification_ack", { notificationId: id, version });
  }
}
