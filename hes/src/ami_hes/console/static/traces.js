// Requests that have traces, the newest first.
import { api, between, el, link, page, path, pill, seconds, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API, progress, standing, targets } from "./words.js";

const LOADED = 200;

page(async (room) => {
  const is = (word) => (request) => standing(request) === word;
  const grid = new Grid(room, {
    title: "Traces",
    key: (request) => request.message_id,
    newest: true,
    most: LOADED,
    empty: "No request has come yet.",
    open: (request) => `/traces/${path(request.message_id)}`,
    search: (request) => `${request.message_id} ${request.verb} ${request.noun} ${request.source || ""}`,
    finds: "Find MessageID, noun, source",
    filters: [{ word: "All" }, ...["OK", "PARTIAL", "FAILED", "RUNNING"].map((word) => ({ word, test: is(word) }))],
    columns: [
      { head: "Result", width: "80px", put: (one) => pill(standing(one)), sort: standing },
      { head: "Accepted, UTC", width: "150px", put: (one) => when(one.accepted_at), sort: (one) => one.accepted_at, down: true },
      { head: "Request", width: "minmax(190px,1fr)", put: (one) => el("span", "", el("b", "strong", `${one.verb} `), one.noun), sort: (one) => `${one.verb} ${one.noun}` },
      { head: "Meters", width: "90px", num: true, put: targets, sort: (one) => one.meters, down: true },
      { head: "Done", width: "minmax(170px,.9fr)", put: progress },
      { head: "Took", width: "70px", num: true, put: (one) => seconds(between(one.accepted_at, one.answered_at)), sort: (one) => between(one.accepted_at, one.answered_at) ?? -1, down: true },
      { head: "From", width: "minmax(70px,.4fr)", put: (one) => el("span", "muted", one.source || "–"), sort: (one) => one.source || "" },
      { head: "MessageID", width: "minmax(270px,.9fr)", put: (one) => link(`/traces/${path(one.message_id)}`, one.message_id, "mono") },
    ],
  });
  const load = async () => grid.replace((await api(`${API}/traces?limit=${LOADED}`)).traces);
  await load();
  live((frame) => frame.requests.length && grid.merge(frame.requests), load);
});
