// A table of thousands of rows: filters, finding, order, selection, keys. What a row is, the page says by its columns.
//
// column: { head, width, num, put(cell, row), sort(row) }; put writes a cell anew whenever its row has changed.
// action: { word, act(rows, button), danger, lacks }; one that lacks something can't be pressed, and says what.
// filter: { word, shape, test(row) }. The order changes when somebody asks for it, never under the pointer: what comes in
// while it rests on the rows waits behind a button. changed(): what is shown or selected, or a row of it, is another now, for
// what shows the same rows beside the table.
import { attributes, button, count, el, legible, SHAPES } from "./dom.js";
import { VirtualList } from "./vlist.js";
import { unusable } from "./who.js";

const HEIGHT = 32;
const HEAD = 30;
const GAP = 14;
const GUTTER = 16;

export class Grid {
  constructor(within, options) {
    Object.assign(this, { columns: [], filters: [], search: null, newest: false, changed: () => {}, ...options });
    this.rows = [];
    this.byKey = new Map();
    this.shown = [];
    this.chosen = new Set();
    this.waiting = [];
    this.current = 0;
    this.filter = 0;
    this.needle = "";
    this.order = null;
    this.#frame(within);
  }

  // -- rows

  replace(rows) {
    this.rows = rows;
    this.waiting = [];
    this.byKey = new Map(rows.map((row) => [this.key(row), row]));
    for (const key of this.chosen) if (!this.byKey.has(key)) this.chosen.delete(key);
    this.#arrange();
    this.#choice();
  }

  // Rows that are known are written anew where they are, others are put first or last.
  merge(rows) {
    let moved = false;
    const fresh = [];
    for (const row of rows) {
      const known = this.byKey.get(this.key(row));
      if (!known) fresh.push(row);
      else {
        moved ||= this.filters.some((one) => one.test && one.test(known) !== one.test(row));
        Object.assign(known, row);
        known.version = (known.version || 0) + 1;
      }
    }
    if (fresh.length && this.newest && this.box.matches(":hover") && this.shown.length) this.#hold(fresh);
    else if (fresh.length) this.#add(fresh);
    if (fresh.length || moved) this.#arrange();
    else {
      this.list.later();
      this.changed();
    }
  }

  #add(fresh) {
    for (const row of fresh) this.byKey.set(this.key(row), row);
    this.rows = this.newest ? [...fresh, ...this.rows] : [...this.rows, ...fresh];
    if (this.most && this.rows.length > this.most) {
      for (const row of this.rows.splice(this.most)) this.byKey.delete(this.key(row));
    }
  }

  #hold(fresh) {
    for (const row of fresh) this.byKey.set(this.key(row), row);
    this.waiting = [...fresh, ...this.waiting].slice(0, this.most || 1_000);
    this.more.textContent = `${count(this.waiting.length)} new`;
    this.more.hidden = false;
  }

  #release() {
    const fresh = this.waiting;
    this.waiting = [];
    this.more.hidden = true;
    this.#add(fresh);
    this.box.scrollTop = 0;
    this.#arrange();
  }

  selected() {
    return [...this.chosen].map((key) => this.byKey.get(key)).filter(Boolean);
  }

  // -- the order and what is shown

  #arrange() {
    const test = this.filters[this.filter]?.test;
    let rows = test ? this.rows.filter(test) : [...this.rows];
    if (this.needle) rows = rows.filter((row) => this.search(row).toLowerCase().includes(this.needle));
    if (this.order) {
      const { by, down } = this.order;
      rows = rows.map((row) => [by.sort(row) ?? "", row]);
      rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
      rows = rows.map(([, row]) => row);
    }
    this.shown = rows;
    this.current = Math.min(this.current, Math.max(0, rows.length - 1));
    attributes(this.box, { "aria-rowcount": rows.length + 1 });
    this.nothing.hidden = rows.length > 0;
    this.nothing.textContent = this.rows.length ? "Nothing here is like that." : this.empty || "Nothing yet.";
    this.#counts();
    this.list.later();
    this.changed();
  }

  #counts() {
    this.filters.forEach((one, place) => {
      this.tallies[place].textContent = count(one.test ? this.rows.reduce((n, row) => n + (one.test(row) ? 1 : 0), 0) : this.rows.length);
    });
  }

  #sortBy(column, head) {
    const same = this.order?.by === column;
    this.order = same && this.order.down !== Boolean(column.down) ? null : { by: column, down: same ? !this.order.down : Boolean(column.down) };
    for (const one of this.heads) one.removeAttribute("aria-sort");
    if (this.order) head.setAttribute("aria-sort", this.order.down ? "descending" : "ascending");
    this.#arrange();
  }

  // -- elements

  #frame(within) {
    this.box = attributes(el("div", "scroll"), { role: "grid", tabindex: 0, "aria-label": `${this.title}; arrow keys move${this.open ? ", Enter opens" : ""}`, "aria-colcount": this.columns.length + (this.actions ? 1 : 0) });
    this.nothing = el("p", "nothing", "Loading …");
    this.more = button("", () => this.#release(), "btn more");
    this.more.hidden = true;
    const widths = [...(this.actions ? ["34px"] : []), ...this.columns.map((one) => one.width || "minmax(80px,1fr)")];
    this.box.style.setProperty("--columns", widths.join(" "));
    this.box.style.setProperty("--room", `${widths.reduce((sum, one) => sum + Number(/(\d+)px/.exec(one)[1]), 0) + GAP * (widths.length - 1) + 2 * GUTTER}px`);
    this.box.append(this.#headRow());
    this.list = new VirtualList(this.box, { height: HEIGHT, head: HEAD, make: () => this.#make(), fill: (row, index) => this.#fill(row, index), count: () => this.shown.length });
    const room = el("div", "grid", this.box, this.nothing, this.more);
    this.section = el("section", "list", this.#bar(), room);
    if (this.actions) this.section.append(this.#bulk());
    within.append(this.section);
    this.box.addEventListener("keydown", (event) => this.#press(event));
    this.box.addEventListener("pointerleave", () => this.waiting.length && this.#release());
  }

  #bar() {
    const bar = el("div", "bar", el("h1", "", this.title));
    this.tallies = this.filters.map(() => el("b"));
    const buttons = this.filters.map((one, place) => {
      const shape = one.shape ? el("i", `sw ${SHAPES[one.shape]}`) : null;
      return attributes(button("", () => this.#filterBy(place), ""), { "aria-pressed": String(place === 0), "data-filter": one.word }).appendChild(el("span", "in", shape, one.word, this.tallies[place])).parentNode;
    });
    if (buttons.length === 1) bar.append(el("span", "muted", this.tallies[0]));
    if (buttons.length > 1) bar.append(attributes(el("div", "seg", ...buttons), { role: "group", "aria-label": "Filter" }));
    bar.append(...(this.beside || []), el("div", "sp"));
    if (this.search) bar.append(this.#find());
    this.buttons = buttons;
    return bar;
  }

  #find() {
    const field = attributes(el("input"), { type: "search", placeholder: this.finds || "Find", autocomplete: "off", id: "find" });
    field.addEventListener("input", () => {
      this.needle = field.value.trim().toLowerCase();
      this.box.scrollTop = 0;
      this.#arrange();
    });
    return el("label", "find", el("span", "vh", this.finds || "Find"), field, el("kbd", "", "/"));
  }

  #filterBy(place) {
    this.filter = place;
    this.buttons.forEach((one, index) => one.setAttribute("aria-pressed", String(index === place)));
    this.box.scrollTop = 0;
    this.#arrange();
  }

  #headRow() {
    this.heads = this.columns.map((column) => {
      const head = attributes(el("span", column.num ? "num" : ""), { role: "columnheader" });
      if (column.sort) head.append(button(column.head, () => this.#sortBy(column, head), ""));
      else head.append(column.head);
      return head;
    });
    const row = attributes(el("div", "row head"), { role: "row", "aria-rowindex": 1 });
    if (this.actions) {
      this.all = attributes(el("input"), { type: "checkbox", "aria-label": "Select all shown" });
      this.all.addEventListener("change", () => this.#chooseAll(this.all.checked));
      row.append(attributes(el("span", "", this.all), { role: "columnheader" }));
    }
    row.append(...this.heads);
    return row;
  }

  #make() {
    const row = attributes(el("div", "row vrow"), { role: "row" });
    if (this.actions) {
      row.tick = attributes(el("input"), { type: "checkbox", tabindex: -1 });
      row.tick.addEventListener("change", () => this.#choose(row.of, row.tick.checked));
      row.append(attributes(el("span", "", row.tick), { role: "gridcell" }));
    }
    row.cells = this.columns.map((column) => attributes(el("span", column.num ? "num" : column.mono ? "mono" : ""), { role: "gridcell" }));
    row.append(...row.cells);
    row.addEventListener("click", (event) => {
      this.current = row.index;
      this.list.later();
      if (this.open && !event.target.closest("a,button,input") && !getSelection().toString()) this.#open(row.of);
    });
    return row;
  }

  #fill(row, index) {
    const of = this.shown[index];
    const version = of.version || 0;
    if (row.of !== of || row.version !== version) {
      this.columns.forEach((column, place) => this.#cell(row.cells[place], column, of));
      Object.assign(row, { of, version });
      if (row.tick) row.tick.setAttribute("aria-label", `Select ${this.key(of)}`);
    }
    row.index = index;
    row.setAttribute("aria-rowindex", index + 2);
    row.classList.toggle("cur", index === this.current);
    if (row.tick) {
      row.tick.checked = this.chosen.has(this.key(of));
      row.classList.toggle("sel", row.tick.checked);
    }
  }

  #cell(cell, column, of) {
    const value = column.put(of);
    cell.replaceChildren(value instanceof Node ? value : legible(value ?? "–"));
    if (typeof value === "string" && value.length > 12) cell.title = legible(value);
  }

  #open(row) {
    const address = this.open(row);
    if (address) location.assign(address);
  }

  // -- selection

  #bulk() {
    this.number = el("b", "", "0");
    const doing = this.actions.map((one) => one.lacks ? unusable(one.word, one.lacks) : attributes(button(one.word, (event) => one.act(this.selected(), event.target), one.danger ? "btn danger" : "btn"), { "data-action": one.word }));
    const clear = button("Clear", () => this.clear(), "ghost");
    this.bulk = el("div", "bulk", this.number, " selected", el("div", "sp"), ...doing, clear);
    this.bulk.hidden = true;
    return this.bulk;
  }

  // These keys, beside what is selected or in place of it; of those that are, none any more where all of them are selected.
  choose(keys, { add = false } = {}) {
    const all = add && keys.every((key) => this.chosen.has(key));
    if (!add) this.chosen.clear();
    for (const key of keys) {
      if (all) this.chosen.delete(key);
      else this.chosen.add(key);
    }
    this.#choice();
    this.list.later();
  }

  // The row with this key, where the table shows it.
  reveal(key) {
    const at = this.shown.indexOf(this.byKey.get(key));
    if (at < 0) return;
    this.current = at;
    this.list.show(at);
  }

  clear() {
    this.chosen.clear();
    this.#choice();
    this.list.later();
  }

  #choose(row, wanted) {
    if (wanted) this.chosen.add(this.key(row));
    else this.chosen.delete(this.key(row));
    this.#choice();
    this.list.later();
  }

  #chooseAll(wanted) {
    this.chosen = new Set(wanted ? this.shown.map((row) => this.key(row)) : []);
    this.#choice();
    this.list.later();
  }

  #choice() {
    if (!this.actions) return;
    this.bulk.hidden = !this.chosen.size;
    this.number.textContent = count(this.chosen.size);
    this.all.checked = this.chosen.size > 0 && this.chosen.size === this.shown.length;
    this.changed();
  }

  // -- keys

  #press(event) {
    if (event.target !== this.box) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / HEIGHT) - 2);
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (step) {
      event.preventDefault();
      this.current = Math.max(0, Math.min(this.shown.length - 1, this.current + step));
      this.list.show(this.current);
    } else if (event.key === "Enter" && this.open && this.shown[this.current]) {
      this.#open(this.shown[this.current]);
    } else if ((event.key === " " || event.key === "x") && this.actions && this.shown[this.current]) {
      event.preventDefault();
      const row = this.shown[this.current];
      this.#choose(row, !this.chosen.has(this.key(row)));
    } else if (event.key === "Escape" && this.actions) this.clear();
  }
}

