// What meters have pushed, the latest first, as it comes: whose, what it says, what came of it or why it was dropped.
import { api, attributes, el, link, page, path, pill, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API } from "./words.js";

const LOADED = 200;
const SETTLE_MS = 500;

const result = (one) => (one.taken ? "OK" : "FAILED");
const whose = (one) => one.meter || "nobody's keys";
const became = (one) => one.events.map((event) => event.reason.replace(`${one.meter}: `, "")).join(", ");
// the types of values say little here; the trace has them
const TYPE = /^(octet|visible|utf8|bit)-string |^(double-long|long64|long|unsigned|integer|enum|boolean|float32|float64)(-unsigned)? /;
const said = (one) => one.words.map((word) => word.replace(TYPE, "")).join(" · ");
const whole = (text, className = "") => attributes(el("span", className, text), { title: text });

page(async (room) => {
  const grid = new Grid(room, {
    title: "Pushes",
    key: (one) => one.push_id,
    newest: true,
    most: LOADED,
    empty: "No meter has pushed anything of which a trace is kept.",
    open: (one) => `/traces/${path(one.push_id)}`,
    search: (one) => `${one.meter || ""} ${one.service} ${said(one)} ${became(one)} ${one.reason || ""} ${one.peer || ""}`,
    finds: "Find meter, words, reason",
    filters: [
      { word: "All" },
      { word: "Taken", shape: "connected", test: (one) => one.taken },
      { word: "With events", shape: "ready", test: (one) => one.events.length > 0 },
      { word: "Dropped", shape: "silent", test: (one) => !one.taken },
    ],
    columns: [
      { head: "Result", width: "80px", put: (one) => pill(result(one)), sort: result },
      { head: "Received, UTC", width: "150px", put: (one) => when(one.received_at), sort: (one) => one.received_at, down: true },
      { head: "Meter", width: "minmax(96px,.4fr)", put: (one) => (one.meter ? link(`/meters/${path(one.meter)}`, one.meter, "mono") : el("span", "muted", whose(one))), sort: whose },
      { head: "Service", width: "140px", put: (one) => one.service, sort: (one) => one.service },
      { head: "What it says", width: "minmax(240px,2fr)", put: (one) => attributes(el("span", "", said(one)), { title: one.words.join("\n") }) },
      { head: "What came of it", width: "minmax(180px,1.2fr)", put: (one) => (one.taken ? whole(became(one) || "no event", one.events.length ? "" : "muted") : whole(one.reason || "", "bad")), sort: (one) => one.reason || became(one) },
      { head: "From", width: "minmax(150px,.6fr)", put: (one) => el("span", "mono muted", one.peer ? `${one.transport} ${one.peer}` : "–"), sort: (one) => one.peer || "" },
      { head: "Trace", width: "180px", put: (one) => link(`/traces/${path(one.push_id)}`, one.push_id, "mono") },
    ],
  });
  const latest = async () => (await api(`${API}/pushes?limit=${LOADED}`)).pushes;
  const load = async () => grid.replace(await latest());
  await load();
  let due = null;
  live((frame) => {
    if (frame.pushes) due ??= setTimeout(async () => ((due = null), grid.merge(await latest())), SETTLE_MS);
  }, load);
});
