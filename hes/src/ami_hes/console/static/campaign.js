// One campaign: its curve, its failures, and the buttons that pause, resume and cancel it.
import { api, confirmed, count, doing, el, link, page, path, percent, seconds, when } from "../console/dom.js";
import { Chart } from "../console/chart.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { API, progress } from "./words.js";

const id = decodeURIComponent(location.pathname.slice("/campaigns/".length));
const address = `${API}/campaigns/${path(id)}`;
const fact = (term, value) => el("div", "", el("dt", "", term), el("dd", "", value));

// How many meters had an end at each moment at which one had.
function delivered(commands, began) {
  const ends = commands.filter((one) => one.finished_at).map((one) => [new Date(one.finished_at) / 1000, one.ok]);
  ends.sort(([a], [b]) => a - b);
  const times = [new Date(began) / 1000];
  const good = [0];
  const bad = [0];
  for (const [time, ok] of ends) {
    good.push(good.at(-1) + (ok ? 1 : 0));
    bad.push(bad.at(-1) + (ok ? 0 : 1));
    times.push(time);
  }
  const share = (values) => values.map((one) => (100 * one) / commands.length);
  return [times, share(good), share(bad)];
}

function table(title, heads, rows) {
  if (!rows.length) return null;
  const head = el("tr", "", ...heads.map((word) => el("th", "", word)));
  return el("section", "", el("div", "bar", el("h2", "", title)), el("table", "plain", el("thead", "", head), el("tbody", "", ...rows.map((cells) => el("tr", "", ...cells.map((cell) => el("td", "", cell)))))));
}

page(async (room) => {
  const who = await me();
  const summary = el("div", "sum");
  const pane = el("div", "pane");
  pane.tabIndex = 0;
  const curve = el("section", "", el("div", "bar", el("h2", "", "Meters at their end")));
  const tables = el("div");
  pane.append(curve, tables);
  room.append(summary, pane);
  const chart = new Chart(curve, { title: "Percent of the meters that have an end, over time", unit: "%", range: [0, 100] });

  function act(word, what, danger) {
    return who.button(`POST /api/v1/campaigns/{name}/${what}`, word, async (event) => {
      if (danger && !(await confirmed({ title: `${word} this campaign?`, text: "Meters that have no end get none any more. What a meter has already is not taken back.", act: `${word} it` }))) return;
      if (await doing(event.target, () => api(`${address}/${what}`, { method: "POST" }))) await load();
    }, danger ? "btn danger" : "btn");
  }

  async function load() {
    const [one, request] = await Promise.all([api(address), api(`${API}/requests/${path(id)}`).catch(() => null)]);
    document.title = `${one.summary} · HES console`;
    summary.replaceChildren(el("h1", "", one.summary), el("dl", "", fact("State", one.state), fact("Meters", progress(one)), fact("Percent", percent(one.percent)), ...(one.blocks_percent === null ? [] : [fact("Blocks", percent(one.blocks_percent))]), fact("Ordered", el("span", "mono", one.created_at)), fact("Kind", one.kind)), el("div", "sp"));
    if (one.state === "running") summary.append(act("Pause", "pause"), act("Cancel", "cancel", true));
    if (one.state === "paused") summary.append(act("Resume", "resume"), act("Cancel", "cancel", true));
    const [times, good, bad] = delivered(request?.commands || [], one.created_at);
    curve.hidden = times.length < 2;
    chart.show(times, [{ label: "OK", colour: "ok", fill: true, steps: true, values: good }, { label: "Failed", colour: "bad", steps: true, values: bad }]);
    const meter = (name) => link(`/meters/${path(name)}`, name, "mono");
    tables.replaceChildren(
      ...[
        table("Failed", ["Meter", "Code", "Reason"], one.failures.map((each) => [meter(each.meter), each.reply_code, each.reason])),
        table("On their way", ["Meter", "Stage", "Blocks", "Percent"], one.transfers.map((each) => [meter(each.meter), each.stage, `${count(each.there)} of ${count(each.blocks)}`, percent(each.percent)])),
        table("Meters", ["Meter", "Result", "Took", "Ended, UTC", "Reason"], (request?.commands || []).slice(0, 1_000).map((each) => [meter(each.meter), each.ok === null ? "under way" : each.ok ? "OK" : `FAILED ${each.reply_code}`, seconds(each.took_ms), when(each.finished_at), each.reason || ""])),
      ].filter(Boolean),
    );
  }

  await load();
  live((frame) => frame.requests.some((one) => one.message_id === id) && load(), load);
});
