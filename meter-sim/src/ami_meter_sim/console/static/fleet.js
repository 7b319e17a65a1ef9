// All meters of the process: supply, power and faults; the outage button and the clock.
import { api, attributes, button, clock, confirmed, count, doing, el, link, page, path, plural, toast } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API, standing, stateOf } from "./words.js";

const AT_ONCE = 1_000;
const MOST = 20_000;

async function all() {
  const found = [];
  for (let more = true; more && found.length < MOST; ) {
    const part = await api(`${API}/meters?limit=${AT_ONCE}&skip=${found.length}`);
    found.push(...part.meters);
    more = part.more;
    if (more && found.length >= MOST) toast(`The first ${count(MOST)} meters are shown`);
  }
  return found;
}

function field(label, values) {
  const input = attributes(el("input", "field"), values);
  return [input, el("label", "", label, input)];
}

// Consoles of the other processes that play meters; this one is where a browser is already.
async function others() {
  const { consoles } = await api(`${API}/consoles`);
  if (consoles.length < 2) return null;
  const here = (one) => new URL(one.url).host === location.host;
  const items = consoles.map((one) => el("li", "", here(one) ? attributes(el("span", "here", one.meters), { "aria-current": "page" }) : link(one.url, one.meters)));
  return attributes(el("nav", "others", el("span", "muted", "Simulators of"), el("ul", "", ...items)), { "aria-label": "Consoles of all meters" });
}

page(async (room) => {
  const elsewhere = await others();
  if (elsewhere) room.append(elsewhere);
  const [group, groupLabel] = field("Group", { placeholder: "all, or feeder, transformer …", maxlength: 100, size: 24 });
  const [share, shareLabel] = field("Share, %", { type: "number", min: 1, max: 100, value: 100 });
  const [spread, spreadLabel] = field("Within, s", { type: "number", min: 0, max: 86400, value: 2 });
  const now = el("span", "mono");
  const mode = el("span", "muted");
  const [step, stepLabel] = field("Advance, s", { type: "number", min: 1, max: 10000000, value: 900 });
  const advance = button("Advance", (event) => doing(event.target, move), "btn");
  const timeControl = el("span", "form flat", stepLabel, advance);
  const power = el("div", "form flat", groupLabel, shareLabel, spreadLabel, button("Outage", (event) => outage(event.target), "btn danger"), button("Power back", (event) => change(true, event.target), "btn"));
  room.append(el("div", "sum", power, el("div", "sp"), el("dl", "", el("div", "", el("dt", "", "Clock"), el("dd", "", now, " ", mode))), timeControl));

  const grid = new Grid(room, {
    title: "Meters",
    key: (one) => one.name,
    open: (one) => `/meters/${path(one.name)}`,
    search: (one) => `${one.name} ${one.faults.join(" ")}`,
    finds: "Find meter, fault",
    empty: "This process plays no meter.",
    filters: [
      { word: "All" },
      { word: "Connected", shape: "connected", test: (one) => stateOf(one) === "connected" },
      { word: "Disconnected", shape: "disconnected", test: (one) => stateOf(one) === "disconnected" },
      { word: "No power", shape: "silent", test: (one) => stateOf(one) === "silent" },
      { word: "With faults", test: (one) => one.faults.length > 0 },
    ],
    columns: [
      { head: "Meter", width: "minmax(140px,.6fr)", put: (one) => link(`/meters/${path(one.name)}`, one.name, "mono"), sort: (one) => one.name },
      { head: "Supply", width: "160px", put: standing, sort: stateOf },
      { head: "Power", width: "100px", put: (one) => el("span", one.powered ? "muted" : "bad", one.powered ? "there" : "gone"), sort: (one) => String(one.powered) },
      { head: "Faults", width: "minmax(240px,3fr)", put: (one) => el("span", "warn", one.faults.join(", ")), sort: (one) => one.faults.length, down: true },
    ],
  });

  const wanted = () => ({ share: Number(share.value) / 100, spread_s: Number(spread.value), ...(group.value.trim() ? { group: [group.value.trim()] } : {}) });

  async function outage(pressed) {
    const where = group.value.trim() ? `of the group ${group.value.trim()}` : "of this process";
    const yes = await confirmed({ title: "Take the power away?", text: `${share.value} % of the meters ${where} lose power within ${spread.value} s, each with its last gasp.`, act: "Outage" });
    if (yes) await change(false, pressed);
  }

  async function change(on, pressed) {
    const found = await doing(pressed, () => api(`${API}/power`, { method: "POST", body: { on, ...wanted() } }));
    if (found) toast(`${on ? "Power back at" : "Outage of"} ${plural(found.meters, "meter")}`);
  }

  async function showClock() {
    const told = await api(`${API}/clock`);
    now.textContent = clock(told.now);
    now.title = told.now;
    mode.textContent = `UTC, ${told.mode}${told.next_due_at ? `; next at ${clock(told.next_due_at)}` : ""}`;
    timeControl.hidden = told.mode !== "stepped";
  }

  async function move() {
    await api(`${API}/clock`, { method: "POST", body: { advance_s: Number(step.value) } });
    await showClock();
  }

  async function load() {
    const [meters] = await Promise.all([all(), showClock()]);
    grid.replace(meters);
  }
  await load();
  let due = null;
  live((frame) => {
    if (frame.meters.length) grid.merge(frame.meters);
    now.textContent = clock(frame.now);
    if (frame.more) due ??= setTimeout(() => ((due = null), load()), 500);
  }, load);
});
