// One schedule: what came of its runs, as a curve and as a table.
import { api, count, el, page, percent, Refused, when } from "../console/dom.js";
import { Chart } from "../console/chart.js";
import { live } from "../console/live.js";
import { API } from "./words.js";

const name = decodeURIComponent(location.pathname.slice("/schedules/".length));
const fact = (term, value) => el("div", "", el("dt", "", term), el("dd", "", value));
const second = (text) => new Date(text) / 1000;

page(async (room) => {
  const summary = el("div", "sum");
  const pane = el("div", "pane");
  pane.tabIndex = 0;
  const table = el("table", "plain");
  const curve = el("section", "", el("div", "bar", el("h2", "", "Delivered by the deadline")));
  pane.append(curve, table);
  room.append(summary, pane);
  const chart = new Chart(curve, { title: "Percent of meters delivered in each run", unit: "%", range: [0, 100] });

  async function load() {
    const one = (await api(`${API}/schedules`)).schedules.find((each) => each.name === name);
    if (!one) throw new Refused(404, `There is no schedule ${name}.`);
    document.title = `${one.name} · HES console`;
    summary.replaceChildren(
      el("h1", "", one.name),
      el("dl", "", fact("Every", `${one.every} at ${one.at}, ${one.time_zone}`), fact("Meters", count(one.meters)), fact("Target", percent(one.target_percent)), fact("Deadline", `${count(one.deadline_s)} s after it is due`), fact("Next", el("span", "mono", one.next_due_at)), fact("mRID", el("span", "mono", one.mrid))),
    );
    const runs = one.runs.toReversed();
    chart.show(runs.map((run) => second(run.due_at)), [
      { label: "Delivered", colour: "acc", fill: true, points: true, values: runs.map((run) => run.percent) },
      { label: "Target", colour: "part", dash: [4, 4], values: runs.map(() => one.target_percent) },
    ]);
    const head = el("tr", "", ...["Due, UTC", "From, UTC", "Until, UTC", "Meters", "Delivered", "Percent", "Ended, UTC"].map((word) => el("th", "", word)));
    const rows = one.runs.map((run) => el("tr", "", ...[when(run.due_at), when(run.since), when(run.until), count(run.meters), run.delivered === null ? "under way" : count(run.delivered), percent(run.percent), when(run.ended_at)].map((cell) => el("td", "", cell))));
    table.replaceChildren(el("thead", "", head), el("tbody", "", ...rows));
  }

  await load();
  live((frame) => frame.requests.length && load(), load);
});
