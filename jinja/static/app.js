// The page's scripts in one place: each enhances what works without it.
import { startFeed } from "./feed.js";
import { startBell } from "./bell.js";
import { startTimes } from "./times.js";

startTimes();
startFeed();
startBell();
