// What is collected when, and how much of it came by its deadline.
import { api, count, el, link, page, path, percent, state, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API } from "./words.js";

const last = (one) => one.runs.find((run) => run.percent !== null);

function standing(one) {
  if (!one.enabled) return state("disconnected", "Not enabled");
  const run = last(one);
  if (!run) return state("plain", "No run yet");
  return run.percent >= one.target_percent ? state("connected", "On target") : state("silent", "Behind");
}

page(async (room) => {
  const grid = new Grid(room, {
    title: "Schedules",
    key: (one) => one.name,
    empty: "Nothing is collected by the clock. PUT /api/v1/schedules/NAME, hes schedules or the CIS order it.",
    open: (one) => `/schedules/${path(one.name)}`,
    search: (one) => `${one.name} ${one.reading_types.join(" ")} ${one.group || ""}`,
    finds: "Find schedule, type, group",
    filters: [{ word: "All" }, { word: "Behind", shape: "silent", test: (one) => last(one)?.percent < one.target_percent }],
    columns: [
      { head: "Schedule", width: "minmax(140px,.8fr)", put: (one) => link(`/schedules/${path(one.name)}`, one.name), sort: (one) => one.name },
      { head: "State", width: "130px", put: standing },
      { head: "Last run", width: "80px", num: true, put: (one) => percent(last(one)?.percent), sort: (one) => last(one)?.percent ?? -1 },
      { head: "Target", width: "70px", num: true, put: (one) => percent(one.target_percent) },
      { head: "Meters", width: "80px", num: true, put: (one) => count(one.meters), sort: (one) => one.meters, down: true },
      { head: "Every", width: "150px", put: (one) => `${one.every} at ${one.at}` },
      { head: "Zone", width: "120px", put: (one) => el("span", "muted", one.time_zone) },
      { head: "Next, UTC", width: "150px", put: (one) => when(one.next_due_at), sort: (one) => one.next_due_at },
      { head: "ReadingTypes", width: "minmax(220px,2fr)", put: (one) => el("span", "mono muted", one.reading_types.join(" ")) },
    ],
  });
  const load = async () => grid.replace((await api(`${API}/schedules`)).schedules);
  await load();
  live((frame) => frame.requests.length && load(), load);
});
