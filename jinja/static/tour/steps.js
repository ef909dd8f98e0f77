// The steps of the guided tour. `path`: the page of the step, where {username} stands for that of the signed-in user.
// `target`: selector of what the step is about. `actions`: buttons in the panel (actions.js).
export const STEPS = [
  {
    title: "Like as others",
    path: "/users/{username}",
    target: "[data-simulator]",
    text: [
      "Below your post, press Simulate, then Send likes. Eight people are made for this and like your post.",
      "Watch the number beside the heart: it changes at once, before anything is in the database.",
    ],
  },
  {
    title: "Three toasts, then one line",
    path: "/users/{username}",
    target: "#bell",
    text: [
      "The first three likes came at once: three toasts, each with a name. The others wait for the end of their window, about two minutes.",
      "Do not wait: close it. One toast and one line in the bell are for all of them.",
    ],
    actions: ["sendLikes", "closeWindows"],
  },
  {
    title: "Rows that wait, rows that are written",
    path: "/database",
    target: "#tab-likes",
    text: [
      "Open the table Likes and send some. Coloured rows are accepted and wait in Redis; the others are in PostgreSQL.",
      "Close the windows: one transaction writes all that waited.",
    ],
    actions: ["sendLikes", "closeWindows"],
  },
  {
    title: "Follow one event",
    path: "/dashboard",
    target: "[data-demo=like]",
    text: [
      "Press Like: one real event goes through the pipeline, and each stage lights up. Press Its trace to see how long each step took.",
      "Does it stop at Windows? Then the first three of its post were announced already. Close the windows, and the others light up.",
    ],
    actions: ["closeWindows"],
  },
  {
    title: "Stop Kafka",
    path: "/dashboard",
    target: "[data-service=kafka]",
    text: [
      "Press Stop on Kafka's card, then send likes. They are accepted and counted as before, and wait in the fallback queue.",
      "Press Start: the queue empties in order, and nothing is lost or announced twice.",
    ],
    actions: ["sendLikes"],
  },
  {
    title: "Run a storm",
    path: "/storm",
    target: "#storm-form",
    text: [
      "Thousands of likes, first with one row per like, then through the pipeline, on this machine. Choose a size and start.",
      "Break something meanwhile. The count of lost and doubled likes stays at zero.",
    ],
  },
];
