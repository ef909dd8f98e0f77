// The page's scripts in one place: each enhances what works without it.
import { startBell } from "./bell.js";
import { startComments } from "./comments.js";
import { startFeed } from "./feed.js";
import { startFields } from "./fields.js";
import { startMore } from "./more.js";
import { startSearch } from "./search.js";
import { startTimes } from "./times.js";

startTimes();
startFeed();
startComments();
startMore();
startSearch();
startFields();
startBell();
