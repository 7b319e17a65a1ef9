// What is not at its end: commands by lane, requests, replies that are owed.
import { api, count, el, link, page, path, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API } from "./words.js";

const fact = (term, value) => el("div", "", el("dt", "", term), el("dd", "", value));

page(async (room) => {
  const facts = el("dl");
  room.append(el("div", "sum", facts));
  const grid = new Grid(room, {
    title: "Replies not taken",
    key: (one) => one.message_id,
    empty: "Every reply was taken by whom it is for.",
    open: (one) => `/requests/${path(one.message_id)}`,
    search: (one) => `${one.message_id} ${one.last_reason}`,
    finds: "Find MessageID, reason",
    filters: [{ word: "All" }, { word: "Owed", test: (one) => !one.given_up_at }, { word: "Given up", shape: "silent", test: (one) => one.given_up_at }],
    columns: [
      { head: "MessageID", width: "minmax(290px,1fr)", put: (one) => link(`/requests/${path(one.message_id)}`, one.message_id, "mono") },
      { head: "Attempts", width: "80px", num: true, put: (one) => count(one.attempts), sort: (one) => one.attempts, down: true },
      { head: "First failed, UTC", width: "150px", put: (one) => when(one.first_failed_at), sort: (one) => one.first_failed_at },
      { head: "Given up, UTC", width: "150px", put: (one) => when(one.given_up_at), sort: (one) => one.given_up_at || "" },
      { head: "Last reason", width: "minmax(300px,3fr)", put: (one) => one.last_reason },
    ],
  });

  async function load() {
    const found = await api(`${API}/jobs`);
    const lanes = Object.entries(found.commands).map(([lane, number]) => fact(`Commands, lane ${lane}`, count(number)));
    facts.replaceChildren(...(lanes.length ? lanes : [fact("Commands", "none waits or runs")]), fact("Requests without an answer", count(found.requests)), fact("Replies owed", count(found.replies_owed)), fact("Dead letters", link("/dead-letters", count(found.dead_letters))));
    grid.replace(found.undelivered);
  }
  await load();
  let due = null;
  live((frame) => {
    if (frame.requests.length) due ??= setTimeout(() => ((due = null), load()), 500);
  }, load);
});
