// Sends likes of simulated users to a post. In: the simulator, the guided tour. Out: POST /api/test/simulate-likes.
import { callApi } from "./api.js";

const MAX_LIKES_PER_REQUEST = 50; // the API makes no more users in one request

// Yields the results of each request. `by`: "mixed", "followers" or "non-followers" of the author.
export async function* sendSimulatedLikes({ postId, authorId }, count, by) {
  for (let sent = 0; sent < count; sent += MAX_LIKES_PER_REQUEST) {
    const body = { postId, targetUserId: authorId, count: Math.min(MAX_LIKES_PER_REQUEST, count - sent), simulationType: by };
    yield (await callApi("POST", "/api/test/simulate-likes", body)).results;
  }
}
