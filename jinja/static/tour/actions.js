// What the buttons in the panel of the guided tour do. Each returns what happened, as text.
import { callApi, currentUserId } from "../api.js";
import { formatCount } from "../plurals.js";
import { sendSimulatedLikes } from "../simulatedLikes.js";

const LIKES = 8;

// Likes of others for the newest post of the signed-in user.
async function sendLikes() {
  const { posts } = await callApi("GET", `/api/posts?userId=${currentUserId}&limit=1`);
  if (!posts.length) return "You have no post yet: write one on the page Home.";
  let successCount = 0;
  for await (const results of sendSimulatedLikes({ postId: posts[0].id, authorId: currentUserId }, LIKES, "non-followers")) {
    successCount += results.filter(({ success }) => success).length;
  }
  return `${formatCount(successCount, "like")} sent`;
}

async function closeWindows() {
  const { flushed } = await callApi("POST", "/api/admin/windows/flush");
  return flushed ? `${formatCount(flushed, "window")} closed` : "No window is open; send likes first";
}

export const ACTIONS = {
  sendLikes: { label: `Send ${LIKES} likes`, run: sendLikes },
  closeWindows: { label: "Close windows", run: closeWindows },
};
