// Small things that every page uses: elements, the API, numbers and times in words, states with their shapes.
const number = new Intl.NumberFormat("en");

export const $ = (selector, within = document) => within.querySelector(selector);

// Characters of control and of the direction of writing would have a sender's own text read as another one, or move what stands beside it.
const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
export const legible = (text) => String(text).replace(UNSEEN, "\ufffd");
const READ = new Set(["title", "aria-label", "alt", "placeholder"]);

// An element with a class, and text or children behind it.
export function el(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content.filter((one) => one != null).map((one) => (one instanceof Node ? one : legible(one))));
  return made;
}

export function attributes(element, values) {
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : READ.has(name) ? legible(value) : value);
  }
  return element;
}

export const link = (href, text, className = "") => attributes(el("a", className, text), { href });
export const button = (text, act, className = "btn") => {
  const made = attributes(el("button", className, text), { type: "button" });
  made.addEventListener("click", act);
  return made;
};

export const count = (value) => (value === null || value === undefined ? "–" : number.format(value));
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const percent = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(value === 100 || value === 0 ? 0 : 1)} %`);
export const path = (text) => text.split("/").map(encodeURIComponent).join("/");

// -- times: UTC in lists, and the whole moment as the API gave it where the pointer rests
const today = () => new Date().toISOString().slice(0, 10);
export function clock(text) {
  if (!text) return "–";
  const moment = new Date(text);
  if (Number.isNaN(+moment)) return text;
  const iso = moment.toISOString();
  return iso.slice(0, 10) === today() ? iso.slice(11, 19) : `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
}
export function when(text) {
  const made = el("time", "mono", clock(text));
  return text ? attributes(made, { datetime: text, title: text }) : made;
}
// The whole of a moment as the API gave it, with its offset: 2026-11-28 12:00:00 +01:00.
export const zoned = (text) => (text ? text.replace("T", " ").replace(/(\.\d+)?(Z|[+-]\d\d:\d\d)$/, " $2").replace(" Z", " +00:00") : "–");
export const seconds = (ms) => (ms === null || ms === undefined ? "–" : ms < 1000 ? `${Math.round(ms)} ms` : ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${count(Math.round(ms / 1000))} s`);
export const between = (from, to) => (from && to ? new Date(to) - new Date(from) : null);

// -- states: a shape, a word and a colour
export const SHAPES = { connected: "s1", disconnected: "s0", ready: "s2", silent: "s3", plain: "s9" };
export function state(shape, word) {
  const made = el("span", "st", el("i", `sw ${SHAPES[shape] || "s9"}`), el("span", "", word));
  made.classList.toggle("odd", shape !== "connected" && shape !== "plain");
  return made;
}
const PILLS = new Set(["OK", "PARTIAL", "FAILED", "RUNNING"]);
export const pill = (word) => el("span", `pill ${PILLS.has(word) ? word : "PLAIN"}`, word);

// -- the API
export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

export async function api(address, { method = "GET", body, text = false } = {}) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(address, options);
  if (answer.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new Refused(401, "the session has ended");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, told.error || `${answer.status} ${answer.statusText}`);
  }
  return text ? answer.text() : answer.status === 204 ? null : answer.json();
}

export function toast(message, bad = false) {
  const made = el("div", bad ? "toast bad" : "toast", message);
  const all = $("#toasts");
  all.append(made);
  while (all.children.length > 4) all.firstChild.remove();
  setTimeout(() => made.remove(), bad ? 12_000 : 5_000);
}

// What a button does: once at a time, and a refusal is said.
export async function doing(pressed, work) {
  if (pressed) pressed.disabled = true;
  try {
    return await work();
  } catch (problem) {
    toast(problem.message, true);
    return undefined;
  } finally {
    if (pressed) pressed.disabled = false;
  }
}

// Ask before something that cannot be undone. Resolves to whether it is wanted.
export function confirmed({ title, text, act, danger = true, more = null, first = null }) {
  return new Promise((resolve) => {
    const cancel = attributes(el("button", "btn", "Cancel"), { value: "no" });
    const go = attributes(el("button", danger ? "btn danger" : "btn primary", act), { value: "yes" });
    // Return in the field presses the first button: that has to be what was begun, once there is a field
    const acts = first ? el("div", "acts turned", go, cancel) : el("div", "acts", cancel, go);
    const form = attributes(el("form", "", el("h2", "", title), el("p", "", text), more, acts), { method: "dialog" });
    const dialog = attributes(el("dialog", "", form), { "aria-label": title });
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
    (first || cancel).focus();
  });
}

// The same with a line of text, such as why. Resolves to the text, or null where it is not wanted.
export async function told({ title, text, act, label, danger = true }) {
  const field = attributes(el("input", "field wide"), { name: "said", maxlength: 200, autocomplete: "off" });
  const wanted = await confirmed({ title, text, act, danger, more: el("label", "said", label, field), first: field });
  return wanted ? field.value.trim() : null;
}

// The page is there: what waits for it may go on.
export const ready = () => (document.documentElement.dataset.ready = "1");

// What goes wrong while a page is filled is said on the page.
export async function page(fill) {
  try {
    await fill($("#page"));
  } catch (problem) {
    $("#page").replaceChildren(attributes(el("p", "note bad", problem.message), { role: "alert" }));
    if (!(problem instanceof Refused)) throw problem;
  } finally {
    ready();
  }
}
