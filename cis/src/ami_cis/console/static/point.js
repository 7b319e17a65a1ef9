// One usage point: its switch, its load profile with another period to compare, its registers and what has happened.
import { $, api, attributes, button, count, doing, el, page, path, plural, Refused, toast, when } from "../console/dom.js";
import { Chart } from "../console/chart.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { eventLine } from "./happened.js";
import { API, CONTROL, control, READ, read, stateWord, where } from "./words.js";

const meter = decodeURIComponent(location.pathname.slice("/usage-points/".length));
const fact = (term, value) => el("div", "", el("dt", "", term), el("dd", "", value));
const DAY = 86_400_000;
// What a period is read of where nothing is kept yet: the names that the REST API takes in place of codes.
const OFFERED = ["load-profile", "import", "export"];
const day = (date) => date.toISOString().slice(0, 10);

async function found() {
  for (let offset = 0; offset !== null; ) {
    const part = await api(`${API}/usage-points?limit=1000&offset=${offset}`);
    const one = part.usage_points.find((each) => each.meter === meter || each.usage_points.includes(meter));
    if (one) return one;
    offset = part.next;
  }
  throw new Refused(404, `The configuration of the CIS names no meter and no usage point ${meter}.`);
}

const kept = (name, type, from, to) =>
  api(`${API}/readings?${new URLSearchParams([["meter", name], ...(type ? [["type", type]] : []), ["from", from], ["to", to]])}`);

// Values on the raster of their interval: a moment without one is null, so that the line has a gap there.
function raster(readings, from, to) {
  const rows = readings.filter((one) => one.value !== null).map((one) => [Date.parse(one.at), Number(one.value)]);
  if (rows.length < 2) return [rows.map(([at]) => at), rows.map(([, value]) => value)];
  const steps = rows.slice(1).map(([at], place) => at - rows[place][0]).filter((one) => one > 0);
  const step = Math.min(...steps);
  const even = step >= 60_000 && (to - from) / step < 20_000 && steps.every((one) => one % step === 0);
  if (!even) return [rows.map(([at]) => at), rows.map(([, value]) => value)];
  const byTime = new Map(rows);
  const times = [];
  for (let at = rows[0][0]; at <= rows.at(-1)[0]; at += step) times.push(at);
  return [times, times.map((at) => byTime.get(at) ?? null)];
}

// A cell that a spreadsheet takes for what it is.
const cell = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));

function download(name, readings) {
  const lines = [["meter", "reading_type", "start", "at", "value", "unit", "qualities", "source"], ...readings.map((one) => [one.meter, one.reading_type, one.start, one.at, one.value, one.unit, one.qualities.join(" "), one.source])];
  const address = URL.createObjectURL(new Blob([`${lines.map((line) => line.map(cell).join(",")).join("\n")}\n`], { type: "text/csv" }));
  attributes(el("a"), { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}

const field = (label, type, value) => {
  const input = attributes(el("input", "field"), { type, value });
  return [input, el("label", "", label, input)];
};

page(async (room) => {
  const who = await me();
  let point = await found();
  const name = point.meter;
  const summary = el("div", "sum");
  const pane = el("div", "pane");
  const side = el("aside", "side");
  pane.tabIndex = side.tabIndex = 0;
  room.append(summary, el("div", "split", pane, side));

  const [from, fromLabel] = field("From, UTC", "date", day(new Date(Date.now() - DAY)));
  const [to, toLabel] = field("Until, UTC", "date", day(new Date(Date.now() + DAY)));
  const [versus, versusLabel] = field("Compare from, UTC", "date", "");
  const type = el("select", "field");
  const form = el("div", "form", el("label", "", "ReadingType", type), fromLabel, toLabel, versusLabel, button("Show", () => doing(null, profile), "btn"), button("CSV", () => download(`${name}-${from.value}.csv`, shown), "btn"), who.button(READ, "Read this period from the meter", (event) => fetchPeriod(event.target)));
  const section = el("section", "", el("div", "bar", el("h2", "", "Readings over time"), el("span", "muted")), form);
  pane.append(section);
  const chart = new Chart(section, { title: "Readings over time; a gap is a time without a value", height: 280 });
  const note = el("p", "note");
  section.append(note);
  const registers = el("section");
  pane.append(registers);
  let shown = [];

  function head() {
    document.title = `${point.usage_points[0] || name} · CIS console`;
    const facts = [fact("Meter", el("span", "mono", name)), fact("mRID", el("span", "mono", point.mrid || "–")), fact("Address", where(point.place)), fact("Asked", when(point.asked_at)), fact("Requests", `${count(point.requests)}, ${count(point.failures)} failed`)];
    const act = (word) => who.button(CONTROL, word, (event) => control(word.toLowerCase(), [point], event.target), word === "Disconnect" ? "btn danger" : "btn");
    summary.replaceChildren(el("h1", "mono", point.usage_points.join(", ") || name), stateWord(point), el("dl", "", ...facts), el("div", "sp"), who.button(READ, "Read", (event) => read([point], event.target).then(latest)), act("Connect"), act("Disconnect"));
    if (point.code) summary.append(el("span", "warn", `${point.code} ${point.reason || ""}`));
  }

  async function latest() {
    const { readings } = await kept(name, null, "1970-01-02", day(new Date(Date.now() + DAY)));
    const last = new Map(readings.map((one) => [one.reading_type, one]));
    const heads = el("tr", "", ...["What", "Value", "At, UTC", "From"].map((word) => el("th", "", word)));
    const rows = [...last.values()].map((one) => el("tr", "", attributes(el("td", "", one.words), { title: one.reading_type }), el("td", "", `${one.value ?? "–"} ${one.unit}`), el("td", "", when(one.at)), el("td", "muted", one.source || "–")));
    registers.replaceChildren(el("div", "bar", el("h2", "", "Latest values")), rows.length ? el("table", "plain", el("thead", "", heads), el("tbody", "", ...rows)) : el("p", "note", "No value of this meter is kept. Read it."));
    const chosen = type.value;
    const offered = [...[...last.values()].map((one) => [one.reading_type, one.words]), ...OFFERED.map((one) => [one, one])];
    type.replaceChildren(...offered.map(([code, words]) => attributes(el("option", "", words), { value: code, selected: code === chosen, title: code })));
    await profile();
  }

  async function profile() {
    const [begin, end] = [Date.parse(from.value), Date.parse(to.value)];
    shown = (await kept(name, type.value, `${from.value}T00:00Z`, `${to.value}T00:00Z`)).readings;
    const [times, values] = raster(shown, begin, end);
    const series = [{ label: from.value, colour: "acc", points: values.length < 200, values }];
    if (versus.value) series.push(await compared(times, begin, end));
    chart.unit = shown[0]?.unit || "";
    chart.show(times.map((one) => one / 1000), series);
    const missing = values.filter((one) => one === null).length;
    note.textContent = shown.length ? `${plural(shown.length, "value")}${missing ? `, ${count(missing)} are missing` : ""}` : "No value of that time is kept: read this period from the meter.";
  }

  // Another period of the same length, moved over the first one.
  async function compared(times, begin, end) {
    const shift = Date.parse(versus.value) - begin;
    const moved = (at) => new Date(at + shift).toISOString();
    const { readings } = await kept(name, type.value, moved(begin), moved(end));
    const byTime = new Map(readings.filter((one) => one.value !== null).map((one) => [Date.parse(one.at) - shift, Number(one.value)]));
    return { label: versus.value, colour: "cim", dash: [4, 4], points: times.length < 200, values: times.map((at) => byTime.get(at) ?? null) };
  }

  async function fetchPeriod(pressed) {
    const body = { meters: [name], reading_types: [type.value], from: `${from.value}T00:00Z`, to: `${to.value}T00:00Z` };
    const ended = await doing(pressed, () => api(`${API}/readings`, { method: "POST", body }));
    if (ended) toast(`Read: ${ended.result || ended.reason}, ${plural(ended.readings.length, "value")}`, ended.result !== "OK");
    await latest();
  }

  async function happened() {
    const { events } = await api(`${API}/device-events?meter=${encodeURIComponent(name)}`);
    side.replaceChildren(el("div", "bar", el("h2", "", "Events, UTC")), events.length ? el("ol", "ev", ...events.slice(0, 100).map(eventLine)) : el("p", "note", "The head-end has told of nothing that happened to it."));
  }

  head();
  await Promise.all([latest(), happened()]);
  live((frame) => {
    const mine = frame.usage_points.find((one) => one.meter === name);
    if (mine) {
      point = mine;
      head();
      latest();
    }
    if (frame.events.some((one) => one.meter === name)) happened();
  }, () => {});
  $("h1").dataset.filled = "1";
});
