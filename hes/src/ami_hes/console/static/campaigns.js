// One operation on many meters each: how far they are, and what can be done about it.
import { api, count, el, link, page, path, percent, state, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API, progress } from "./words.js";

const SHAPES = { running: "ready", paused: "disconnected", cancelled: "disconnected", ended: "plain" };

page(async (room) => {
  const grid = new Grid(room, {
    title: "Campaigns",
    key: (one) => one.id,
    empty: "No campaign was ordered yet: hes keys roll, hes firmware start or hes meters commission order one.",
    open: (one) => `/campaigns/${path(one.id)}`,
    search: (one) => `${one.summary} ${one.kind} ${one.id}`,
    finds: "Find campaign",
    filters: [{ word: "All" }, ...["running", "paused", "ended", "cancelled"].map((word) => ({ word, test: (one) => one.state === word }))],
    columns: [
      { head: "State", width: "120px", put: (one) => state(SHAPES[one.state] || "plain", one.state), sort: (one) => one.state },
      { head: "Campaign", width: "minmax(240px,1.6fr)", put: (one) => link(`/campaigns/${path(one.id)}`, one.summary), sort: (one) => one.summary },
      { head: "Kind", width: "minmax(120px,.6fr)", put: (one) => el("span", "muted", one.kind), sort: (one) => one.kind },
      { head: "Done", width: "minmax(200px,1fr)", put: progress },
      { head: "Percent", width: "76px", num: true, put: (one) => percent(one.percent), sort: (one) => one.percent },
      { head: "Blocks", width: "76px", num: true, put: (one) => percent(one.blocks_percent) },
      { head: "Meters", width: "76px", num: true, put: (one) => count(one.meters), sort: (one) => one.meters, down: true },
      { head: "Ordered, UTC", width: "150px", put: (one) => when(one.created_at), sort: (one) => one.created_at, down: true },
    ],
  });
  const load = async () => grid.replace((await api(`${API}/campaigns`)).campaigns);
  await load();
  live((frame) => frame.requests.some((one) => grid.byKey.has(one.message_id) || one.source === "HES") && load(), load);
});
