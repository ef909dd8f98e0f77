// Socket.IO client: reconnects with jitter and without end, fetches a new token for each connection, and joins the
// user's room with the resume point. Calls the given callbacks with what arrives.
/* global io */
import { currentUserId, fetchToken, redirectToLogin } from "../api.js";

const JOIN_REPLY_TIMEOUT_MS = 2000;
const withJitter = (minimumMs, spreadMs) => minimumMs + spreadMs * Math.random();

// `callbacks`: getResumePoint, getVisiblePostIds, isResyncNeeded, onJoined, onClientEvent, onDisconnected, onPostUpdated,
// onUnreadCount.
export class SocketClient {
  reconnectTimer = null;
  joinTimer = null;
  joinedAt = 0;
  isReconnecting = false;
  watchedPostIds = null; // sorted and joined; null: not sent on this connection

  constructor(callbacks, eventNames) {
    this.callbacks = callbacks;
    this.socket = io({
      autoConnect: false,
      transports: ["websocket"],
      reconnectionDelay: 500,
      reconnectionDelayMax: 5000,
      randomizationFactor: 0.7,
      auth: (sendCredentials) => this.authenticate(sendCredentials),
    });
    this.socket.on("connect", () => this.onConnected());
    this.socket.on("disconnect", () => this.onConnectionLost());
    this.socket.on("connect_error", () => this.onConnectionLost());
    this.socket.on("error", () => this.reconnect()); // refused: the token expired in the meantime
    this.socket.on("session_ended", redirectToLogin);
    this.socket.on("joined", (reply) => callbacks.onJoined(reply));
    for (const name of eventNames) this.socket.on(name, (data) => callbacks.onClientEvent(name, data));
    this.socket.on("unread_count", ({ count, version }) => callbacks.onUnreadCount(count, version));
    this.socket.on("post_updated", (event) => callbacks.onPostUpdated(event));
    addEventListener("online", () => this.socket.connected || this.reconnect(0));
    this.socket.connect();
  }

  authenticate(sendCredentials) {
    fetchToken().then(
      (token) => sendCredentials({ token }),
      () => this.reconnect(), // without a token the server would accept the connection but send no events
    );
  }

  onConnected() {
    this.watchedPostIds = null;
    this.join();
    this.watchPosts();
  }

  // From now on the server sends the counts of the visible posts only, and at once those of posts that came into view.
  watchPosts() {
    if (!this.socket.connected) return;
    const postIds = this.callbacks.getVisiblePostIds();
    const sortedIds = [...postIds].sort().join();
    if (sortedIds === this.watchedPostIds) return;
    this.watchedPostIds = sortedIds;
    this.socket.emit("watch_posts", { postIds }, (reply) => {
      for (const { postId, ...metadata } of reply?.posts ?? []) {
        this.callbacks.onPostUpdated({ targetEntityId: postId, metadata });
      }
    });
  }

  join() {
    clearTimeout(this.reconnectTimer);
    this.joinedAt = performance.now();
    this.socket.emit("join_room", { userId: currentUserId, since: this.callbacks.getResumePoint() });
  }

  // An event is missing: joins again, but not before the reply to the previous join is due.
  requestResync() {
    this.scheduleJoin(Math.max(0, this.joinedAt + JOIN_REPLY_TIMEOUT_MS - performance.now()));
  }

  // Joins again after the delay if a resync is still needed. Also used when the server's history is unavailable.
  scheduleJoin(delayMs = withJitter(1000, 2000)) {
    this.joinTimer ??= setTimeout(() => {
      this.joinTimer = null;
      if (this.socket.connected && this.callbacks.isResyncNeeded()) this.join();
    }, delayMs);
  }

  onConnectionLost() {
    this.callbacks.onDisconnected();
    // After a refusal by the server the library does not reconnect by itself.
    if (!this.socket.active && !this.isReconnecting) this.reconnect();
  }

  reconnect(delayMs = withJitter(2000, 3000)) {
    clearTimeout(this.reconnectTimer);
    this.reconnectTimer = setTimeout(() => {
      this.isReconnecting = true; // our own disconnect is not a lost connection
      this.socket.disconnect();
      this.isReconnecting = false;
      this.socket.connect();
    }, delayMs);
  }

  acknowledge(notificationId, version) {
    if (this.socket.connected) this.socket.emit("notification_ack", { notificationId, version });
  }
}
