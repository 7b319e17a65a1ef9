// The inbox of what has happened to meters; many of one kind within a minute are one line.
import { api, attributes, button, count, doing, el, link, page, path, plural, state, toast, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { grouped, isAlarm, name } from "./happened.js";
import { API } from "./words.js";

const MOST = 5_000;
const AT_ONCE = 1_000;

page(async (room) => {
  const who = await me();
  let events = [];
  let together = true;
  const toggle = attributes(button("Group", () => ((together = !together), toggle.setAttribute("aria-pressed", together), show()), "btn sm"), { "aria-pressed": "true" });
  const grid = new Grid(room, {
    title: "Events",
    key: (one) => one.key,
    newest: true,
    beside: [toggle, who.button("POST /api/v1/device-events", "Ask the head-end", ask, "btn sm")],
    empty: "The head-end has told of nothing yet. It sends events where it has this CIS as a subscriber; Ask the head-end fetches those that it keeps.",
    open: (one) => (one.many === 1 ? `/usage-points/${path(one.meter)}` : null),
    search: (one) => `${one.meters} ${one.code} ${one.reason || ""} ${name(one)}`,
    finds: "Find meter, type, words",
    actions: [{ word: "Acknowledge", act: acknowledge, lacks: who.lacks("POST /api/v1/device-events/acknowledge") }],
    filters: [{ word: "All" }, { word: "Not acknowledged", shape: "ready", test: (one) => !one.acknowledged_at }, { word: "Power and alarms", shape: "silent", test: isAlarm }, { word: "Others", test: (one) => !isAlarm(one) }],
    columns: [
      { head: "At, UTC", width: "150px", put: (one) => when(one.at), sort: (one) => one.at, down: true },
      { head: "What", width: "minmax(220px,1fr)", put: (one) => state(isAlarm(one) ? "silent" : "plain", one.many > 1 ? `${name(one)} × ${one.many}` : name(one)), sort: name },
      { head: "Meters", width: "minmax(110px,.5fr)", put: (one) => (one.many === 1 ? link(`/usage-points/${path(one.meter)}`, one.meter, "mono") : one.meters), sort: (one) => one.meters },
      { head: "Type", width: "110px", mono: true, put: (one) => one.code, sort: (one) => one.code },
      { head: "Closed, UTC", width: "150px", put: (one) => when(one.closed_at), sort: (one) => one.closed_at || "" },
      { head: "Acknowledged, UTC", width: "150px", put: (one) => (one.acknowledged_at ? attributes(when(one.acknowledged_at), { title: `${one.acknowledged_at} by ${one.acknowledged_by}` }) : "–"), sort: (one) => one.acknowledged_at || "" },
      { head: "By", width: "90px", put: (one) => el("span", "muted", one.acknowledged_by || "–"), sort: (one) => one.acknowledged_by || "" },
      { head: "Words of the head-end", width: "minmax(300px,2fr)", put: (one) => el("span", "muted", one.reason || "") },
    ],
  });

  // A line stands for one event or for all of its group.
  async function acknowledge(rows, pressed) {
    const ids = rows.flatMap((one) => (one.many > 1 ? one.all : [one])).filter((one) => !one.acknowledged_at).map((one) => one.event_id);
    let events = 0;
    for (let place = 0; place < ids.length; place += AT_ONCE) {
      const found = await doing(pressed, () => api(`${API}/device-events/acknowledge`, { method: "POST", body: { event_ids: ids.slice(place, place + AT_ONCE) } }));
      if (!found) break;
      events += found.events;
    }
    toast(`${plural(events, "event")} acknowledged`);
    grid.clear();
    await load();
  }

  const show = () => grid.replace(together ? grouped(events) : events.map((one) => ({ ...one, key: one.event_id, many: 1, meters: one.meter })));
  async function ask(event) {
    const ended = await doing(event.target, () => api(`${API}/device-events`, { method: "POST", body: {} }));
    if (!ended) return;
    toast(ended.result ? `${ended.result}: ${count(ended.came)} events came` : ended.reason, !ended.result);
    await load();
  }

  async function load() {
    events = (await api(`${API}/device-events`)).events;
    show();
  }
  await load();
  let due = null;
  live((frame) => {
    // acknowledged in another tab, or by somebody else
    const seen = new Map(frame.acknowledged.map((one) => [one.event_id, one]));
    if (events.some((one) => seen.has(one.event_id))) {
      events = events.map((one) => seen.get(one.event_id) || one);
      if (!frame.events.length) show();
    }
    if (frame.more_events) due ??= setTimeout(() => ((due = null), load()), 1_000);
    else if (frame.events.length) {
      const known = new Set(frame.events.map((one) => one.event_id));
      events = [...frame.events.toReversed(), ...events.filter((one) => !known.has(one.event_id))].slice(0, MOST);
      show();
    }
  }, load);
});
