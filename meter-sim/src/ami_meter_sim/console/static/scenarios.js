// Scenarios: those that come with the simulator, and the steps of the one that runs, live.
import { api, button, count, doing, el, page, pill, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API } from "./words.js";

page(async (room) => {
  const shipped = await api(`${API}/scenarios`);
  const head = el("div", "sum");
  const expected = el("section");
  const history = el("ol", "notes");
  const items = shipped.map((one) => el("div", "fault", el("b", "strong", one.name), button("Start", (event) => start(one.name, event.target), "btn sm"), el("p", "", one.about)));
  const side = el("aside", "side", el("section", "", el("div", "bar", el("h2", "", "Scenarios that there are")), ...items));
  const left = el("div", "stack");
  side.tabIndex = 0;
  room.append(head, el("div", "split", left, side));
  const grid = new Grid(left, {
    title: "Meters at their steps",
    key: (one) => `${one.meter} ${one.track}`,
    empty: "No scenario has a meter on a track: start one of those beside.",
    search: (one) => `${one.meter} ${one.track} ${one.state} ${one.waits_for || ""}`,
    finds: "Find meter, track, state",
    filters: [{ word: "All" }],
    columns: [
      { head: "Meter", width: "minmax(110px,.6fr)", mono: true, put: (one) => one.meter, sort: (one) => one.meter },
      { head: "Track", width: "minmax(90px,.5fr)", put: (one) => one.track, sort: (one) => one.track },
      { head: "Step", width: "80px", put: (one) => `${one.step} of ${one.of}`, sort: (one) => one.step },
      { head: "State", width: "100px", put: (one) => one.state, sort: (one) => one.state },
      { head: "Waits for", width: "minmax(160px,1.4fr)", put: (one) => one.waits_for || "" },
      { head: "Until, UTC", width: "150px", put: (one) => when(one.until) },
    ],
  });
  const told = el("section", "pane short", el("div", "bar", el("h2", "", "What has happened, UTC")), history);
  told.tabIndex = 0;
  left.append(expected, told);

  function show(run) {
    const running = run.status === "running";
    const states = Object.entries(run.meters || {}).map(([state, number]) => `${count(number)} ${state}`).join(", ");
    head.replaceChildren(el("h1", "", run.name || "No scenario has run"), run.name ? el("span", `pill ${running ? "RUNNING" : "PLAIN"}`, run.status) : "", el("span", "muted", states), el("div", "sp"));
    if (run.began_at) head.append(el("span", "mono muted", run.began_at));
    if (running) head.append(button("Stop", (event) => stop(event.target), "btn danger"));
    grid.replace(run.places || []);
    expected.replaceChildren(...(run.expected || []).map((one) => el("p", "note", pill(one.held ? "OK" : "FAILED"), ` ${one.what}`)));
    history.replaceChildren(...(run.history || []).toReversed().map((one) => el("li", "", when(one.at), el("span", "mono muted", `${one.meter} ${one.track} ${one.step}`), el("p", "", one.what))));
  }

  async function start(name, pressed) {
    const run = await doing(pressed, () => api(`${API}/scenario`, { method: "POST", body: { name } }));
    if (run) await load();
  }

  async function stop(pressed) {
    await doing(pressed, () => api(`${API}/scenario`, { method: "DELETE" }));
    await load();
  }

  const load = async () => show(await api(`${API}/scenario?limit=100`));
  await load();
  live((frame) => frame.scenario && show(frame.scenario), load);
});
