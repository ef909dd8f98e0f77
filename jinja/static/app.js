// Entry point of every page of a signed-in user: starts each script that enhances the server-rendered page.
import { startComments } from "./comments.js";
import { startFormHelpers } from "./formHelpers.js";
import { startLiveNotifications } from "./liveNotifications.js";
import { startLoadMore } from "./loadMore.js";
import { startRelativeTimes } from "./relativeTimes.js";
import { startSearch } from "./search.js";
import { startSocialActions } from "./socialActions.js";

startRelativeTimes();
startSocialActions();
startComments();
startLoadMore();
startSearch();
startFormHelpers();
startLiveNotifications();
