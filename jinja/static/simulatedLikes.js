// Sends likes of simulated users to a post. In: the simulator, the guided tour. Out: POST /api/test/simulate-likes.
import { callApi } from "./api.js";

const MAX_LIKES_PER_REQUEST = 50; // the API makes no more users in one request
const FIRST_LIKES = 3; // sent one by one: their toasts replace each other, and each should be readable
const FIRST_LIKES_INTERVAL_MS = 1200;
const delay = (ms) => new Promise((done) => setTimeout(done, ms));

// "mixed" is every other one, in a request of its own as well.
const kindOfSingleLike = (by, index) => (by === "mixed" ? ["followers", "non-followers"][index % 2] : by);

// Yields the results of each request. `by`: "mixed", "followers" or "non-followers" of the author.
export async function* sendSimulatedLikes({ postId, authorId }, count, by) {
  let sent = 0;
  while (sent < count) {
    const isSingle = sent < FIRST_LIKES;
    const size = isSingle ? 1 : Math.min(MAX_LIKES_PER_REQUEST, count - sent);
    const simulationType = isSingle ? kindOfSingleLike(by, sent) : by;
    yield (await callApi("POST", "/api/test/simulate-likes", { postId, targetUserId: authorId, count: size, simulationType })).results;
    sent += size;
    if (isSingle && sent < count) await delay(FIRST_LIKES_INTERVAL_MS);
  }
}
