// All requests to the head-end, the newest first, and what came of them.
import { api, between, el, link, page, path, pill, plural, seconds, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API, progress, standing, what } from "./words.js";

page(async (room) => {
  const is = (word) => (request) => standing(request) === word;
  const grid = new Grid(room, {
    title: "Requests",
    key: (one) => one.message_id,
    newest: true,
    most: 5_000,
    empty: "Nothing was asked of the head-end yet.",
    open: (one) => `/requests/${path(one.message_id)}`,
    search: (one) => `${one.message_id} ${one.verb} ${one.noun} ${one.control || ""} ${one.code}`,
    finds: "Find MessageID, noun, control",
    filters: [{ word: "All" }, ...["OK", "PARTIAL", "FAILED", "RUNNING", "UNKNOWN"].map((word) => ({ word, test: is(word) }))],
    columns: [
      { head: "Result", width: "84px", put: (one) => pill(standing(one)), sort: standing },
      { head: "Sent, UTC", width: "150px", put: (one) => when(one.sent_at), sort: (one) => one.sent_at, down: true },
      { head: "Request", width: "minmax(200px,1fr)", put: (one) => (one.control ? el("span", "", el("b", "strong", one.control), el("span", "faint", ` ${one.verb} ${one.noun}`)) : el("span", "", el("b", "strong", one.verb), ` ${one.noun}`)), sort: what },
      { head: "Meters", width: "90px", num: true, put: (one) => plural(one.meters, "meter"), sort: (one) => one.meters, down: true },
      { head: "Done", width: "minmax(170px,.9fr)", put: progress },
      { head: "Took", width: "70px", num: true, put: (one) => seconds(between(one.sent_at, one.replied_at)), sort: (one) => between(one.sent_at, one.replied_at) ?? -1, down: true },
      { head: "Reply", width: "80px", put: (one) => el("span", "muted", one.asynchronous ? "later" : "at once") },
      { head: "MessageID", width: "minmax(270px,.9fr)", put: (one) => link(`/requests/${path(one.message_id)}`, one.message_id, "mono") },
    ],
  });
  const load = async () => grid.replace((await api(`${API}/requests?limit=1000`)).requests);
  await load();
  live((frame) => frame.requests.length && grid.merge(frame.requests), load);
});
