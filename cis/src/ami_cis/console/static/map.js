// A map of thousands of meters on a canvas: a dot each, coloured by state, the odd ones last so that they stand out.
import { attributes, el } from "../console/dom.js";

const COLOURS = { connected: "--s1", disconnected: "--s0", ready: "--s2", silent: "--s3", unknown: "--line" };

export class Map2D {
  constructor({ colour, order }) {
    Object.assign(this, { colour, order, rows: [], asked: null });
    this.canvas = attributes(el("canvas", "map"), { role: "img", "aria-label": "All meters, each a dot that is coloured by the state of its switch" });
    new ResizeObserver(() => this.later()).observe(this.canvas);
    addEventListener("theme", () => this.later());
  }

  show(rows) {
    this.rows = rows;
    this.later();
  }

  later() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.#draw();
    });
  }

  #draw() {
    const { canvas, rows } = this;
    const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
    if (!width || document.hidden) return;
    if (canvas.width !== width * scale || canvas.height !== height * scale) [canvas.width, canvas.height] = [width * scale, height * scale];
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const margin = 14;
    const across = Math.max(1, Math.ceil(Math.sqrt((rows.length * (width - 2 * margin)) / (height - 2 * margin))));
    const step = Math.min((width - 2 * margin) / across, 26);
    const dot = Math.max(1.4, Math.min(10, step * 0.62));
    const style = getComputedStyle(document.documentElement);
    const states = rows.map(this.colour);
    for (const state of this.order) {
      context.fillStyle = style.getPropertyValue(COLOURS[state]).trim();
      const size = state === "silent" ? dot * 1.25 : dot;
      states.forEach((one, place) => {
        if (one === state) this.#dot(context, margin + ((place % across) + 0.5) * step, margin + (Math.floor(place / across) + 0.5) * step, size, state);
      });
    }
  }

  // The shapes of the legend, where there is room for a shape.
  #dot(context, x, y, size, state) {
    if (size < 5) {
      context.fillRect(x - size / 2, y - size / 2, size, size);
      return;
    }
    context.beginPath();
    if (state === "silent") {
      context.moveTo(x, y - size / 2);
      context.lineTo(x + size / 2, y + size / 2);
      context.lineTo(x - size / 2, y + size / 2);
      context.fill();
    } else if (state === "disconnected") {
      context.arc(x, y, size / 2 - 1, 0, 2 * Math.PI);
      context.strokeStyle = context.fillStyle;
      context.lineWidth = 2;
      context.stroke();
    } else {
      context.arc(x, y, size / 2, 0, state === "ready" ? Math.PI : 2 * Math.PI);
      context.fill();
    }
  }
}
