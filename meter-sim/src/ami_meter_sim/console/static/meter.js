// One meter: its objects by class, one of them with rights and values, its faults, and what a hand can do.
import { $, api, attributes, button, count, doing, el, page, path, toast } from "../console/dom.js";
import { live } from "../console/live.js";
import { API, standing } from "./words.js";

const name = decodeURIComponent(location.pathname.slice("/meters/".length));
const address = `${API}/meters/${path(name)}`;
const fact = (term, value) => el("div", "", el("dt", "", term), el("dd", "", value));
const SHOWN = 2_000;

function access(rights, letter) {
  return Object.entries(rights).filter(([, word]) => word.includes(letter)).map(([association]) => association);
}

// R and W as they are for anybody; who exactly is where the pointer rests.
function badges(rights) {
  const readers = access(rights, "r");
  const writers = access(rights, "w");
  const badge = el("span", "acc", el("i", readers.length ? "y" : "", "R"), el("i", writers.length ? "y" : "", "W"));
  badge.title = `read: ${readers.join(", ") || "nobody"}; write: ${writers.join(", ") || "nobody"}`;
  return [badge, el("span", "vh", badge.title)];
}

function text(value) {
  if (!value) return "";
  if (Array.isArray(value.value)) return `${value.type}, ${count(value.value.length)} elements: ${JSON.stringify(value.value.map(plain)).slice(0, SHOWN)}`;
  return value.value === null ? value.type : String(value.value).slice(0, SHOWN);
}
const plain = (one) => (one && typeof one === "object" && "value" in one ? (Array.isArray(one.value) ? one.value.map(plain) : one.value) : one);

page(async (room) => {
  const summary = el("div", "sum");
  const list = el("section", "pane objs");
  const object = el("section", "pane");
  const side = el("section", "side");
  for (const [one, label] of [[list, "Objects"], [object, "Object"], [side, "Faults and hands"]]) attributes(one, { tabindex: 0, "aria-label": label });
  room.append(summary, el("div", "three", list, object, side));
  const objects = await api(`${address}/objects`);
  const kinds = await api(`${API}/faults/kinds`);
  let current = objects.find((one) => `${one.class}/${one.instance}` === decodeURIComponent(location.hash.slice(1))) || objects.find((one) => one.class === 70) || objects[0];

  function showList() {
    const found = $("input", list)?.value.trim().toLowerCase() || "";
    const field = attributes(el("input", "field"), { type: "search", placeholder: "Find OBIS, name", id: "find", value: found });
    field.addEventListener("input", () => filter(field.value.trim().toLowerCase()));
    const byClass = new Map();
    for (const one of objects) byClass.set(one.class, [...(byClass.get(one.class) || []), one]);
    const groups = [...byClass.entries()].sort(([a], [b]) => a - b).map(([number, all]) => el("div", "group", el("h3", "", `Class ${number}`), ...all.map(entry)));
    list.replaceChildren(el("div", "bar", el("h2", "", "Objects"), el("span", "muted", count(objects.length)), el("div", "sp"), el("label", "find", el("span", "vh", "Find OBIS, name"), field)), ...groups);
  }

  function entry(one) {
    const made = attributes(el("a", "obj", el("span", "mono", one.instance), el("span", "", one.name)), { href: `#${one.class}/${one.instance}` });
    made.dataset.find = `${one.instance} ${one.name} ${one.class}`.toLowerCase();
    return made;
  }

  function filter(needle) {
    for (const one of list.querySelectorAll(".obj")) one.hidden = !one.dataset.find.includes(needle);
    for (const one of list.querySelectorAll(".group")) one.hidden = !one.querySelector(".obj:not([hidden])");
  }

  async function showObject() {
    if (!current) return;
    for (const one of list.querySelectorAll(".obj")) attributes(one, { "aria-current": one.hash === `#${current.class}/${current.instance}` ? "true" : null });
    const one = await api(`${address}/objects/${current.class}/${path(current.instance)}`);
    const rows = one.attributes.map((each) => el("tr", "", el("td", "faint", each.number), el("td", "", each.name), el("td", "", ...badges(each.access)), el("td", "mono wrap", each.value ? text(each.value) : el("span", "faint", each.why)), el("td", "faint", each.value?.type || "")));
    const methods = one.methods.map((each) => el("tr", "", el("td", "faint", each.number), el("td", "", each.name), el("td", "", el("span", "acc", el("i", each.associations.length ? "y" : "", "X"))), el("td", "muted", each.associations.join(", ") || "nobody")));
    const head = (words) => el("thead", "", el("tr", "", ...words.map((word) => el("th", "", word))));
    object.replaceChildren(
      el("div", "bar", el("h2", "", one.name), el("span", "mono muted", one.instance), el("span", "faint", `class ${one.class} ${one.class_name || ""}, version ${one.version}`), el("div", "sp"), button("Read again", (event) => doing(event.target, showObject), "btn sm")),
      el("table", "plain", head(["No", "Attribute", "Access", "Value, as the meter itself has it", "Type"]), el("tbody", "", ...rows)),
      ...(methods.length ? [el("div", "bar", el("h2", "", "Methods")), el("table", "plain", head(["No", "Method", "Access", "Who may"]), el("tbody", "", ...methods))] : []),
      el("p", "note", `Associations: ${one.associations.join(", ")}`),
    );
  }

  async function showState() {
    const state = await api(address);
    document.title = `${state.name} · Simulator console`;
    summary.replaceChildren(
      el("h1", "mono", state.name),
      standing(state),
      el("dl", "", fact("Control state", `${state.switch.control_state}, mode ${state.switch.control_mode}`), fact("Logical device name", el("span", "mono", state.logical_device_name)), fact("System title", el("span", "mono", state.system_title || "–")), fact("Clock", el("span", "mono", state.clock)), fact("Import", `${count(state.import_wh)} Wh, ${count(state.import_power_w)} W`), fact("Export", `${count(state.export_wh)} Wh, ${count(state.export_power_w)} W`), fact("Counters", `${count(state.next_sent_counter)} next, ${count(state.lowest_accepted_counter)} accepted from`), fact("Household", state.household)),
    );
    return state;
  }

  const act = async (what, body, pressed) => {
    if (await doing(pressed, () => api(`${address}/${what}`, { method: "POST", body }))) await load();
  };

  function faultSwitch(kind, rules) {
    const rule = rules.find((one) => one.rule.fault === kind.fault && one.rule.meters?.length === 1 && one.rule.meters[0] === name);
    const input = attributes(el("input", "switch"), { type: "checkbox", role: "switch", id: `f-${kind.fault}` });
    input.checked = Boolean(rule);
    input.addEventListener("change", async () => {
      const done = await doing(input, () => (rule ? api(`${API}/faults/${rule.number}`, { method: "DELETE" }) : api(`${API}/faults`, { method: "POST", body: { fault: kind.fault, meters: [name] } })));
      if (!done) input.checked = !input.checked;
      await showSide();
    });
    return el("div", "fault", attributes(el("label", "", kind.fault), { for: input.id }), input, el("p", "", kind.does));
  }

  async function showSide() {
    const [state, rules] = await Promise.all([showState(), api(`${API}/faults`)]);
    const power = button(state.powered ? "Take its power" : "Give its power back", async (event) => {
      if (await doing(event.target, () => api(`${API}/power`, { method: "POST", body: { on: !state.powered, name } }))) toast(state.powered ? "Its power goes" : "Its power comes back");
    }, "btn sm");
    const press = (word) => button(`Press ${word}`, (event) => act("button", { button: word }, event.target), "btn sm");
    const there = new Set(state.conditions);
    const cover = (condition, word) => button(there.has(condition) ? `End: ${word}` : word, (event) => act("conditions", { condition, there: !there.has(condition) }, event.target), "btn sm");
    side.replaceChildren(
      el("section", "", el("div", "bar", el("h2", "", "Hands")), el("div", "form", power, press("connect"), press("disconnect"), press("billing"), cover("terminal_cover", "Open the terminal cover"), cover("meter_cover", "Open the meter cover"), cover("magnet", "Hold a magnet"))),
      el("section", "", el("div", "bar", el("h2", "", "Faults"), el("div", "sp"), el("span", "muted", "this meter only")), ...kinds.filter((kind) => !kind.parameters.required?.length).map((kind) => faultSwitch(kind, rules))),
    );
  }

  const load = () => Promise.all([showSide(), showObject()]);
  addEventListener("hashchange", () => {
    current = objects.find((one) => `${one.class}/${one.instance}` === decodeURIComponent(location.hash.slice(1))) || current;
    showObject();
  });
  showList();
  await load();
  let due = null;
  live((frame) => {
    if (frame.more || frame.meters.some((one) => one.name === name)) due ??= setTimeout(() => ((due = null), load()), 500);
  }, () => {});
});
