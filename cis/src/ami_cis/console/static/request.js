// One request: whom it was for, and why not where it was not done.
import { api, between, el, link, page, path, pill, seconds, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API, standing, what } from "./words.js";

const messageId = decodeURIComponent(location.pathname.slice("/requests/".length));
const fact = (term, value) => el("div", "", el("dt", "", term), el("dd", "", value));

function head(request) {
  const facts = [
    fact("MessageID", el("span", "mono", request.message_id)),
    fact("Sent, UTC", when(request.sent_at)),
    fact("Replied, UTC", request.replied_at ? when(request.replied_at) : "not yet"),
    fact("Took", seconds(between(request.sent_at, request.replied_at))),
    fact("Code", el("span", "mono", request.code || "–")),
    fact("Exchange", request.state),
  ];
  const made = el("div", "sum", el("h1", "", what(request)), pill(standing(request)), el("dl", "", ...facts));
  if (request.reason) made.append(el("span", "warn", request.reason));
  return made;
}

page(async (room) => {
  const summary = el("div");
  room.append(summary);
  const grid = new Grid(room, {
    title: "Meters and reasons",
    key: (one) => one.key,
    search: (one) => `${one.meter || ""} ${one.code || ""} ${one.reason || ""}`,
    finds: "Find meter, code, reason",
    empty: "This request names no meter.",
    filters: [{ word: "All" }, { word: "OK", test: (one) => one.result === "OK" }, { word: "FAILED", test: (one) => one.result === "FAILED" }],
    columns: [
      { head: "Result", width: "84px", put: (one) => pill(one.result), sort: (one) => one.result },
      { head: "Meter", width: "minmax(110px,.5fr)", put: (one) => (one.meter ? link(`/usage-points/${path(one.meter)}`, one.meter, "mono") : "all of them"), sort: (one) => one.meter || "" },
      { head: "Code", width: "64px", mono: true, put: (one) => one.code, sort: (one) => one.code || "" },
      { head: "Reason", width: "minmax(320px,4fr)", put: (one) => one.reason || "", sort: (one) => one.reason || "" },
    ],
  });

  // An error for a meter is its line; a meter without one is as the whole request.
  function rows({ request, meters, errors }) {
    const told = errors.map((one, place) => ({ key: `error ${place}`, ...one, result: one.code?.startsWith("0.") ? "OK" : "FAILED" }));
    const named = new Set(told.map((one) => one.meter));
    const rest = standing(request) === "PARTIAL" ? "OK" : standing(request);
    return [...told, ...meters.filter((one) => !named.has(one)).map((one) => ({ key: one, meter: one, result: rest }))];
  }

  async function load() {
    const details = await api(`${API}/requests/${path(messageId)}`);
    document.title = `${what(details.request)} · CIS console`;
    summary.replaceChildren(head(details.request));
    grid.replace(rows(details));
  }
  await load();
  live((frame) => frame.requests.some((one) => one.message_id === messageId) && load(), load);
});
