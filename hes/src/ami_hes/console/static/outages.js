// Where power is gone, by what meters have said; and who answers when asked.
import { api, attributes, confirmed, count, doing, el, page, plural, state, toast, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { API } from "./words.js";

page(async (room) => {
  const who = await me();
  const may = who.may("POST /api/v1/outages/ping");
  const facts = el("dl");
  const ping = who.button("POST /api/v1/outages/ping", "Ask the dark meters", ask);
  room.append(el("div", "sum", facts, el("div", "sp"), ping));
  const grid = new Grid(room, {
    title: "Outages",
    key: (one) => `${one.level} ${one.place}`,
    empty: "No meter has said that its power is gone.",
    search: (one) => `${one.level} ${one.place} ${one.names.join(" ")}`,
    finds: "Find place, meter",
    filters: [{ word: "All" }],
    columns: [
      { head: "Place", width: "minmax(140px,.7fr)", put: (one) => state("silent", one.place), sort: (one) => one.place },
      { head: "Level", width: "110px", put: (one) => one.level, sort: (one) => one.level },
      { head: "Dark", width: "90px", num: true, put: (one) => count(one.dark), sort: (one) => one.dark, down: true },
      { head: "Of meters", width: "90px", num: true, put: (one) => count(one.meters), sort: (one) => one.meters, down: true },
      { head: "Since, UTC", width: "150px", put: (one) => when(one.since), sort: (one) => one.since },
      { head: "Meters", width: "minmax(300px,3fr)", put: (one) => el("span", "mono muted", one.names.slice(0, 40).join(" ")) },
    ],
  });

  const fact = (name, value) => el("div", "", el("dt", "", name), el("dd", "", value));

  async function load() {
    const found = await api(`${API}/outages`);
    facts.replaceChildren(
      fact("Meters without power", count(found.dark)),
      fact("Back, not asked yet", count(found.unverified)),
      fact("Momentary", count(found.momentary)),
      fact("Sustained", count(found.sustained)),
      fact("Events waiting to be told", count(found.waiting.reduce((sum, one) => sum + one, 0))),
    );
    if (may) ping.disabled = !found.dark && !found.unverified;
    grid.replace(found.outages);
  }

  async function ask() {
    const wanted = await confirmed({ title: "Ask the dark meters?", text: "Every meter that is dark, or back by its own word alone, is asked whether it answers. That takes as long as they do.", act: "Ask them" });
    if (!wanted) return;
    const found = await doing(ping, () => api(`${API}/outages/ping`, { method: "POST", body: {} }));
    if (found) toast(`${plural(found.answered.length, "meter")} answered, ${count(found.silent.length)} did not`);
    await load();
  }

  await load();
  let due = null;
  live((frame) => {
    if (frame.events.length || frame.more_events) due ??= setTimeout(() => ((due = null), load()), 1_000);
  }, load);
  attributes(room, { "data-filled": true });
});
