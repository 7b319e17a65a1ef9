// The rules of faults that count, what else there is, and the way back to health.
import { api, attributes, button, confirmed, count, doing, el, page, plural, toast } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API } from "./words.js";

page(async (room) => {
  const kinds = await api(`${API}/faults/kinds`);
  const kind = attributes(el("select", "field", ...kinds.map((one) => attributes(el("option", "", one.fault), { value: one.fault }))), { id: "kind" });
  const body = attributes(el("input", "field mono"), { size: 60, value: "", placeholder: '{"share": 0.1, "seconds": 3}', id: "body" });
  const does = el("p", "muted");
  const explain = () => {
    const one = kinds.find((each) => each.fault === kind.value);
    const names = Object.keys(one.parameters.properties || {});
    const said = [`The meter ${one.does}.`, one.head_end ? `A head-end should ${one.head_end}.` : "", names.length ? `Parameters: ${names.join(", ")}.` : ""];
    does.textContent = said.filter(Boolean).join(" ");
  };
  kind.addEventListener("change", explain);
  explain();
  const form = el("div", "form flat", el("label", "", "Fault", kind), el("label", "", "Its parameters, whom and when, as JSON", body), button("Set", (event) => set(event.target), "btn primary"), button("Back to health", (event) => reset(event.target), "btn"));
  room.append(el("div", "sum tall", form, does));

  const grid = new Grid(room, {
    title: "Rules that count",
    key: (one) => String(one.number),
    empty: "No fault is set: all meters are healthy.",
    search: (one) => JSON.stringify(one.rule),
    finds: "Find fault, meter, group",
    filters: [{ word: "All" }],
    actions: [{ word: "End", act: end, danger: true }],
    columns: [
      { head: "No", width: "60px", num: true, put: (one) => count(one.number), sort: (one) => one.number },
      { head: "Fault", width: "minmax(140px,.6fr)", put: (one) => el("b", "strong", one.rule.fault), sort: (one) => one.rule.fault },
      { head: "Whom", width: "minmax(140px,.8fr)", put: (one) => [...(one.rule.meters || []), ...(one.rule.group || [])].join(", ") || "all meters" },
      { head: "Rule", width: "minmax(300px,3fr)", put: (one) => el("span", "mono muted", JSON.stringify(one.rule)) },
    ],
  });

  async function set(pressed) {
    const added = await doing(pressed, () => api(`${API}/faults`, { method: "POST", body: { ...JSON.parse(body.value || "{}"), fault: kind.value } }));
    if (added) await load();
  }

  async function end(rows, pressed) {
    await doing(pressed, () => Promise.all(rows.map((one) => api(`${API}/faults/${one.number}`, { method: "DELETE" }))));
    await load();
  }

  async function reset(pressed) {
    if (!(await confirmed({ title: "Back to health?", text: "No rule counts any longer, and no cover is open, no magnet held, no phase missing at any meter.", act: "Back to health" }))) return;
    const done = await doing(pressed, () => api(`${API}/faults`, { method: "DELETE" }));
    if (done) toast(`${plural(done.rules, "rule")} ended`);
    await load();
  }

  const load = async () => grid.replace(await api(`${API}/faults`));
  await load();
  live((frame) => frame.rules !== undefined && load(), load);
});
