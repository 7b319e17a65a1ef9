// Series over time, by uPlot: times in UTC, colours of the theme, and a gap where there is no value.
import { attributes, el } from "./dom.js";

const made = new Set();

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["acc", "bad", "ok", "part", "cim", "mut", "line", "line2", "faint"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

// A moment on the axis: of the day where that has changed, and as fine as its neighbours are apart.
function label(moment, before, all) {
  const iso = (second) => new Date(second * 1000).toISOString();
  const apart = all.length > 1 ? all[1] - all[0] : 60;
  const text = iso(moment);
  const clock = apart >= 60 ? text.slice(11, 16) : apart >= 1 ? text.slice(11, 19) : text.slice(11, 23);
  return before === null || iso(before).slice(0, 10) !== text.slice(0, 10) ? `${clock}\n${text.slice(0, 10)}` : clock;
}

// series: [{ label, colour, dash, steps, points, values }]; times: seconds since 1970. Each is drawn anew when the theme or the room changes.
export class Chart {
  constructor(within, { title, unit = "", height = 220, range = null }) {
    Object.assign(this, { unit, height, range, series: [], times: [] });
    this.room = attributes(el("div", "chart"), { role: "img", "aria-label": title });
    within.append(this.room);
    this.width = 0;
    new ResizeObserver(() => this.room.clientWidth !== this.width && this.#draw()).observe(this.room);
    made.add(this);
  }

  show(times, series) {
    Object.assign(this, { times, series });
    this.#draw();
  }

  redraw() {
    this.#draw();
  }

  #draw() {
    this.width = this.room.clientWidth;
    if (!this.width) return;
    this.plot?.destroy();
    this.plot = undefined;
    if (!this.times.length) return;
    const colour = colours();
    const time = { values: (_, moments) => moments.map((one, place) => label(one, place ? moments[place - 1] : null, moments)) };
    const axis = { stroke: colour.mut, grid: { stroke: colour.line2, width: 1 }, ticks: { stroke: colour.line, width: 1 }, font: "11px Inter, sans-serif" };
    this.plot = new uPlot(
      {
        width: this.width - 20,
        height: this.height,
        tzDate: (second) => uPlot.tzDate(new Date(second * 1000), "Etc/UTC"),
        scales: { y: { range: this.range || undefined } },
        axes: [{ ...axis, ...time }, { ...axis, size: 84, label: this.unit, labelSize: 24, labelFont: "11px Inter, sans-serif", values: (_, all) => all.map((one) => (one === null ? "" : `${+one.toFixed(6)}`)) }],
        series: [
          { label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
          ...this.series.map((one) => ({
            label: one.label,
            stroke: colour[one.colour],
            fill: one.fill ? `${colour[one.colour]}18` : undefined,
            width: 1.5,
            dash: one.dash,
            spanGaps: false,
            points: { show: one.points ?? false, size: 5 },
            paths: one.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
            value: (_, value) => (value === null || value === undefined ? "–" : `${+value.toFixed(3)}${this.unit ? ` ${this.unit}` : ""}`),
          })),
        ],
      },
      [this.times, ...this.series.map((one) => one.values)],
      this.room,
    );
    this.room.dataset.drawn = this.times.length;
  }
}

addEventListener("theme", () => made.forEach((one) => one.redraw()));
