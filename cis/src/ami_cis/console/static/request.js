// One request: whom it was for, and why not where it was not done.
import { api, attributes, between, el, link, page, path, pill, seconds, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { Values } from "./values.js";
import { API, standing, what } from "./words.js";

const messageId = decodeURIComponent(location.pathname.slice("/requests/".length));
const fact = (term, value) => el("div", "", el("dt", "", term), el("dd", "", value));

function head(request) {
  const facts = [
    fact("MessageID", el("span", "mono", request.message_id)),
    fact("Sent, UTC", when(request.sent_at)),
    fact("Replied, UTC", request.replied_at ? when(request.replied_at) : "not yet"),
    fact("Took", seconds(between(request.sent_at, request.replied_at))),
    request.words ? fact("Of", request.words) : fact("Code", el("span", "mono", request.code || "–")),
    fact("Exchange", request.state),
  ];
  const made = el("div", "sum", el("h1", "", what(request)), pill(standing(request)), el("dl", "", ...facts));
  if (request.reason) made.append(el("span", "warn", request.reason));
  return made;
}

const READ = "MeterReadings";

// Why not, beside the values of those that answered.
function reasons(errors) {
  const lines = errors.map((one) => el("li", "", el("span", "mono", one.code || "–"), el("b", "strong", one.meter || "all of them"), el("p", "", one.reason || "")));
  const list = lines.length ? el("ul", "notes", ...lines) : el("p", "note", "Every meter gave what it was asked for, or has not answered yet.");
  return [el("div", "bar", el("h2", "", "Reasons"), el("span", "muted", lines.length || "")), list];
}

page(async (room) => {
  const summary = el("div");
  room.append(summary);
  const first = await api(`${API}/requests/${path(messageId)}`);
  const side = attributes(el("aside", "side"), { tabindex: 0, "aria-label": "Reasons" });
  const values = first.request.noun === READ ? new Values(room, side) : null;
  const grid = values ? null : new Grid(room, {
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
    if (grid) return grid.replace(rows(details));
    side.replaceChildren(...reasons(details.errors));
    values.show((await api(`${API}/readings?request=${encodeURIComponent(messageId)}`)).readings);
  }
  await load();
  live((frame) => frame.requests.some((one) => one.message_id === messageId) && load(), load);
});
