// A map of thousands of usage points on a canvas, without tiles: a dot each where it is, of the shape and colour of its state, the
// odd ones last so that they stand out. North is up; the drawing is a plain one (degrees of longitude shrunk by the latitude), good for
// a town. Without any place the dots stand in the order of the configuration.
//
// It shows the rows of a Grid and gives back what is selected: a click one, Shift-drag a rectangle. The wheel and + - zoom, dragging and the arrow keys
// move, 0 shows all. What a mouse does here, the table beside it does for the keyboard and for screen readers.
import { attributes, el } from "../console/dom.js";
import { shapes } from "./shapes.js";

const MARGIN = 16;
const NEAREST = 9; // pixels from a dot that still mean it
const CLOSEST_M = 40; // what the shorter side shows at the most of zooming
const SAMPLES = 60;
const STEP = 60; // pixels that an arrow key moves
const METERS_A_DEGREE = 111_320;
const ORDER = ["unknown", "connected", "disconnected", "ready", "silent"];
const HELP = "drag moves, wheel or + − zooms, 0 shows all, Shift and drag selects";

export class PointMap {
  // grid: whose rows are shown; state(row), label(row)
  constructor({ grid, state, label }) {
    Object.assign(this, { grid, state, label, dots: [], view: null, asked: null, box: null, over: null });
    this.canvas = attributes(el("canvas", "map"), { tabindex: 0, role: "application", "aria-label": `Map of the usage points that the list shows; ${HELP}. The list has all of it.` });
    this.tip = attributes(el("div", "tip"), { hidden: true });
    this.scale = attributes(el("span", "scalebar"), { "aria-hidden": "true" });
    this.element = el("div", "mapbox", this.canvas, this.tip, this.scale);
    new ResizeObserver(() => this.later()).observe(this.canvas);
    addEventListener("theme", () => this.later());
    this.#pointer();
    this.canvas.addEventListener("keydown", (event) => this.#press(event));
  }

  later() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.#draw();
    });
  }

  // -- where things are

  get placed() {
    return this.grid.rows.filter((one) => one.place);
  }

  // The middle and the extent of all places, in metres north and east of the first.
  #project() {
    const rows = this.placed;
    if (!rows.length) return this.#inOrder();
    const { latitude, longitude } = (this.origin ??= rows[0].place);
    const east = METERS_A_DEGREE * Math.cos((latitude * Math.PI) / 180);
    const turned = (degrees) => ((degrees + 540) % 360) - 180; // a town may lie on both sides of the 180th meridian
    return new Map(rows.map((one) => [one, [turned(one.place.longitude - longitude) * east, (latitude - one.place.latitude) * METERS_A_DEGREE]]));
  }

  #inOrder() {
    const { rows } = this.grid;
    const across = Math.max(1, Math.ceil(Math.sqrt(rows.length * 1.6)));
    return new Map(rows.map((one, index) => [one, [(index % across) * 20, Math.floor(index / across) * 20]]));
  }

  // What was placed anew is found anew; all of it is kept in view until somebody has moved it.
  #places() {
    const rows = this.grid.rows;
    const mark = rows.reduce((sum, one) => sum + (one.place ? 1_000 + 31 * one.place.latitude + one.place.longitude : 0), 0);
    if (this.mark === mark && this.known === rows) return;
    [this.mark, this.known] = [mark, rows];
    this.at = this.#project();
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const [x, y] of this.at.values()) [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
    this.extent = this.at.size ? { left, top, right, bottom } : null;
    this.apart = this.#spacing();
    if (!this.moved) this.view = null;
  }

  #fit(width, height) {
    const { left, top, right, bottom } = this.extent;
    const each = Math.max((right - left) / Math.max(1, width - 2 * MARGIN), (bottom - top) / Math.max(1, height - 2 * MARGIN), CLOSEST_M / Math.min(width, height));
    this.view = { x: (left + right) / 2, y: (top + bottom) / 2, each };
    this.widest = 4 * each;
  }

  #onScreen([x, y]) {
    const { canvas, view } = this;
    return [(x - view.x) / view.each + canvas.clientWidth / 2, (y - view.y) / view.each + canvas.clientHeight / 2];
  }

  // -- drawing

  #draw() {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height || document.hidden) return;
    const fine = devicePixelRatio;
    const [w, h] = [Math.round(width * fine), Math.round(height * fine)];
    if (canvas.width !== w || canvas.height !== h) {
      [canvas.width, canvas.height] = [w, h];
      if (!this.moved) this.view = null;
    }
    const context = canvas.getContext("2d");
    context.setTransform(fine, 0, 0, fine, 0, 0);
    context.clearRect(0, 0, width, height);
    this.#places();
    this.dots = [];
    if (!this.extent) return;
    if (!this.view) this.#fit(width, height);
    this.#paint(context, width, height, fine);
    this.#rule();
    canvas.dataset.dots = this.dots.length;
  }

  #paint(context, width, height, fine) {
    const style = getComputedStyle(document.documentElement);
    const size = this.#size();
    const sprites = shapes(style, size, fine);
    const { grid } = this;
    const shown = new Set(grid.shown);
    context.setTransform(1, 0, 0, 1, 0, 0); // whole pixels, which are copied and not computed
    const byState = Object.fromEntries(ORDER.map((one) => [one, []]));
    context.globalAlpha = 0.35;
    for (const [row, place] of this.at) {
      const [x, y] = this.#onScreen(place);
      if (x < -size || y < -size || x > width + size || y > height + size) continue;
      if (shown.has(row)) byState[this.state(row)].push([row, x, y]);
      else this.#put(context, sprites.plain.unshown, x * fine, y * fine);
    }
    context.globalAlpha = 1;
    for (const state of ORDER) {
      for (const dot of byState[state]) {
        const kind = grid.chosen.size && grid.chosen.has(grid.key(dot[0])) ? sprites.chosen : sprites.plain;
        this.#put(context, kind[state], dot[1] * fine, dot[2] * fine);
        this.dots.push(dot);
      }
    }
    context.setTransform(fine, 0, 0, fine, 0, 0);
    if (this.box) this.#rectangle(context, style);
  }

  #put(context, sprite, x, y) {
    context.drawImage(sprite.image, Math.round(x) - sprite.half, Math.round(y) - sprite.half);
  }

  // Dots grow with the zoom until neighbours would touch.
  #size() {
    return Math.max(2.6, Math.min(13, (0.75 * this.apart) / this.view.each));
  }

  // How far neighbours are apart, in metres: of some of them, since all with all would be too many.
  #spacing() {
    const all = [...this.at.values()];
    const step = Math.max(1, Math.floor(all.length / SAMPLES));
    const nearest = all.filter((_, index) => index % step === 0).map(([x, y]) => {
      let best = Infinity;
      for (const [ox, oy] of all) {
        const away = (ox - x) ** 2 + (oy - y) ** 2;
        if (away && away < best) best = away;
      }
      return Math.sqrt(best);
    });
    return nearest.sort((a, b) => a - b)[nearest.length >> 1] ?? Infinity;
  }

  #rectangle(context, style) {
    const { x, y, toX, toY } = this.box;
    context.strokeStyle = style.getPropertyValue("--acc").trim();
    context.fillStyle = `${context.strokeStyle}22`;
    context.fillRect(x, y, toX - x, toY - y);
    context.strokeRect(x + 0.5, y + 0.5, toX - x, toY - y);
  }

  // A length in round metres, so that distances can be read.
  #rule() {
    if (!this.placed.length) return this.scale.replaceChildren();
    const metres = 90 * this.view.each;
    const power = 10 ** Math.floor(Math.log10(metres));
    const round = [5, 2, 1].find((one) => one * power <= metres) * power;
    this.scale.style.width = `${round / this.view.each}px`;
    this.scale.textContent = round >= 1000 ? `${round / 1000} km` : `${round} m`;
  }

  // -- pointer

  #pointer() {
    const { canvas } = this;
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      held = { x: event.offsetX, y: event.offsetY, from: { ...this.view }, moved: false, choosing: event.shiftKey };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held || !this.view) return this.#hover(event.offsetX, event.offsetY);
      const [dx, dy] = [event.offsetX - held.x, event.offsetY - held.y];
      held.moved ||= Math.hypot(dx, dy) > 4;
      if (!held.moved) return undefined;
      if (held.choosing) this.box = { x: held.x, y: held.y, toX: event.offsetX, toY: event.offsetY };
      else this.#move({ ...held.from, x: held.from.x - dx * held.from.each, y: held.from.y - dy * held.from.each });
      return this.later();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!held) return;
      if (this.box) this.#chooseBox();
      else if (!held.moved) this.#click(event);
      held = this.box = null;
      this.later();
    });
    canvas.addEventListener("pointercancel", () => ((held = this.box = null), this.later()));
    canvas.addEventListener("pointerleave", () => this.#hover(-99, -99));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 120) * 0.002), event.offsetX, event.offsetY);
    }, { passive: false });
  }

  #nearest(x, y) {
    let [found, best] = [null, NEAREST];
    for (const [row, dx, dy] of this.dots) {
      const away = Math.hypot(dx - x, dy - y);
      if (away <= best) [found, best] = [[row, dx, dy], away];
    }
    return found;
  }

  #hover(x, y) {
    const found = this.#nearest(x, y);
    this.canvas.classList.toggle("at", Boolean(found));
    this.tip.hidden = !found;
    if (!found) return;
    this.tip.replaceChildren(...this.label(found[0]));
    const right = found[1] > this.canvas.clientWidth / 2;
    this.tip.style.top = `${Math.max(2, found[2] - 14)}px`;
    this.tip.style.left = right ? "auto" : `${found[1] + 12}px`;
    this.tip.style.right = right ? `${this.canvas.clientWidth - found[1] + 12}px` : "auto";
  }

  #click(event) {
    const found = this.#nearest(event.offsetX, event.offsetY);
    if (!found) return;
    const key = this.grid.key(found[0]);
    this.grid.choose([key], { add: true });
    this.grid.reveal(key);
  }

  #chooseBox() {
    const { x, y, toX, toY } = this.box;
    const [left, right, top, bottom] = [Math.min(x, toX), Math.max(x, toX), Math.min(y, toY), Math.max(y, toY)];
    this.choose(this.dots.filter(([, dx, dy]) => dx >= left && dx <= right && dy >= top && dy <= bottom));
  }

  choose(dots) {
    const fresh = dots.map(([row]) => this.grid.key(row)).filter((key) => !this.grid.chosen.has(key));
    if (fresh.length) this.grid.choose(fresh, { add: true });
  }

  // All that is in view.
  chooseView() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.choose(this.dots.filter(([, x, y]) => x >= 0 && y >= 0 && x <= width && y <= height));
  }

  // -- moving

  #move(view) {
    this.moved = true;
    this.view = view;
  }

  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    if (!this.view) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const each = Math.max(CLOSEST_M / Math.min(width, height), Math.min(this.widest, this.view.each * factor));
    const change = this.view.each - each; // what is under the pointer stays under it
    this.#move({ x: this.view.x + (x - width / 2) * change, y: this.view.y + (y - height / 2) * change, each });
    this.later();
  }

  all() {
    this.moved = false;
    this.view = null;
    this.later();
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.view) return;
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if (x || y) this.#move({ ...this.view, x: this.view.x + x * STEP * this.view.each, y: this.view.y + y * STEP * this.view.each });
    else if (event.key === "+" || event.key === "=") this.zoom(0.7);
    else if (event.key === "-") this.zoom(1 / 0.7);
    else if (event.key === "0") this.all();
    else if (event.key === "Escape") this.grid.clear();
    else return;
    event.preventDefault();
    this.later();
  }
}
