// The values that a request has brought: a table, and a chart of each meter's profile.
import { attributes, count, el, link, path, plural, zoned } from "../console/dom.js";
import { Chart } from "../console/chart.js";
import { Grid } from "../console/grid.js";

const PROFILE = 3;
const series = (one) => `${one.meter}\n${one.reading_type}`;

// Of one meter and one ReadingType there are several moments: that is a profile, and drawn.
function profiles(readings) {
  const found = new Map();
  for (const one of readings) found.set(series(one), [...(found.get(series(one)) || []), one]);
  return [...found.values()].filter((all) => all.length >= PROFILE);
}

export class Values {
  constructor(room, beside) {
    this.section = el("section");
    this.select = attributes(el("select", "field"), { "aria-label": "Profile" });
    this.select.addEventListener("change", () => this.#draw());
    this.said = el("span", "muted");
    this.section.append(el("div", "bar", el("h2", "", "Profile"), this.select, this.said));
    this.chart = new Chart(this.section, { title: "Values over time; a gap is a time without a value", height: 200 });
    this.section.hidden = true;
    this.grid = null;
    this.room = room;
    this.beside = beside;
    this.profiles = [];
  }

  show(readings) {
    if (!this.grid) this.#begin(readings.some((one) => one.start));
    this.grid.replace(readings.map((one, place) => ({ key: place, ...one })));
    this.profiles = profiles(readings);
    this.section.hidden = !this.profiles.length;
    this.select.replaceChildren(...this.profiles.map(([one], place) => attributes(el("option", "", `${one.meter}: ${one.words}`), { value: place })));
    this.#draw();
  }

  #begin(hasStarts) {
    this.room.append(this.section);
    const split = el("div", "split");
    this.room.append(split);
    this.grid = new Grid(split, {
      title: "Values",
      key: (one) => one.key,
      search: (one) => `${one.meter} ${one.words} ${one.reading_type} ${one.at} ${one.value}`,
      finds: "Find meter, what, time",
      empty: "No value has come.",
      filters: [{ word: "All" }, { word: "Missing", shape: "plain", test: (one) => one.value === null }],
      columns: [
        { head: "Meter", width: "minmax(110px,.5fr)", put: (one) => link(`/usage-points/${path(one.meter)}`, one.meter, "mono"), sort: (one) => one.meter },
        { head: "What", width: "minmax(200px,1.4fr)", put: (one) => attributes(el("span", "", one.words), { title: one.reading_type }), sort: (one) => one.words },
        { head: "Value", width: "120px", num: true, put: (one) => el("span", one.value === null ? "faint" : "strong", one.value === null ? "missing" : one.value), sort: (one) => Number(one.value) },
        { head: "Unit", width: "56px", put: (one) => el("span", "muted", one.unit || "–"), sort: (one) => one.unit },
        ...(hasStarts ? [{ head: "From", width: "210px", mono: true, put: (one) => (one.start ? zoned(one.start) : "–"), sort: (one) => one.start || "" }] : []),
        { head: "At", width: "210px", mono: true, put: (one) => zoned(one.at), sort: (one) => one.at, down: true },
        { head: "Quality", width: "minmax(80px,.4fr)", mono: true, put: (one) => one.qualities.join(" ") || "–" },
      ],
    });
    split.append(this.beside);
  }

  #draw() {
    const all = this.profiles[Number(this.select.value)] || [];
    const rows = all.map((one) => [Date.parse(one.at) / 1000, one.value === null ? null : Number(one.value)]).sort(([a], [b]) => a - b);
    this.chart.unit = all[0]?.unit || "";
    this.chart.show(rows.map(([at]) => at), [{ label: all[0]?.words || "", colour: "acc", points: rows.length < 200, values: rows.map(([, value]) => value) }]);
    const missing = rows.filter(([, value]) => value === null).length;
    this.said.textContent = `${plural(rows.length, "value")}${missing ? `, ${count(missing)} missing` : ""}`;
  }
}
