// The audit log: searched, the latest first, page by page; and the check that nobody has changed it.
import { api, attributes, button, count, doing, el, link, page, path, plural, state, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { me } from "../console/who.js";
import { API } from "./words.js";

const AT_ONCE = 200;
const LOOK_AGAIN_MS = 500;
const TURNS = 40;
const WHAT = ["accepted", "ended", "refused", "more-refused", "written", "signed-in", "signed-out", "sign-in-refused", "approval-wanted", "approved", "rejected", "expired", "controls-stopped", "controls-resumed", "store-changed", "cut"];
const BAD = new Set(["refused", "more-refused", "sign-in-refused", "rejected", "expired", "controls-stopped", "cut"]);
const REFUSED = "refused"; // nothing of it was kept as a request: what there is of it is a trace
const words = (one) => one.what.replaceAll("-", " ");
const parsed = (record) => ({ ...JSON.parse(record.entry), hash: record.hash, text: record.entry });

function field(name, label, more = {}) {
  const input = attributes(el("input", "field"), { name, maxlength: 200, autocomplete: "off", ...more });
  return el("label", "", label, input);
}

function form(search) {
  const what = attributes(el("select", "field"), { name: "what" });
  what.append(attributes(el("option", "", "anything"), { value: "" }), ...WHAT.map((word) => attributes(el("option", "", word.replaceAll("-", " ")), { value: word })));
  const made = el("form", "form", field("principal", "Who"), field("meter", "Meter", { size: 12 }), field("request", "Request", { size: 24 }), el("label", "", "What", what), field("from", "From, UTC", { type: "datetime-local", step: 1 }), field("to", "To, UTC", { type: "datetime-local", step: 1 }), attributes(el("button", "btn", "Search"), { type: "submit" }));
  const asked = new URLSearchParams(location.search);
  for (const one of made.elements) if (asked.has(one.name)) one.value = asked.get(one.name);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    search(event.submitter);
  });
  return made;
}

function wanted(made) {
  const found = new URLSearchParams();
  for (const one of made.elements) {
    const value = one.name && one.value.trim();
    if (value) found.set(one.name, one.type === "datetime-local" ? `${value}Z` : value);
  }
  return found;
}

function checkWords(found) {
  if (found.running) return state("plain", `Checking: ${count(found.entries)} of ${count(found.of)}`);
  if (!found.ended_at) return state("plain", "Not checked since the head-end began");
  if (found.whole) return state("connected", `Whole: ${plural(found.entries, "entry", "entries")}`);
  return state("silent", found.problems[0] || "Not whole");
}

page(async (room) => {
  const who = await me();
  const lacks = who.lacks("GET /api/v1/audit/search");
  if (lacks) return room.append(el("h1", "vh", "Audit log"), attributes(el("p", "note"), { role: "alert" }).appendChild(document.createTextNode(`The audit log ${lacks}.`)).parentNode);
  const summary = el("div", "sum");
  const made = form(search);
  const box = el("div", "sum flat-form", made);
  room.append(summary, box);
  const older = button("Older", (event) => more(event.target), "btn");
  const grid = new Grid(room, {
    title: "Audit log",
    key: (one) => one.seq,
    empty: "No entry is like that.",
    beside: [older],
    filters: [{ word: "All" }],
    columns: [
      { head: "No.", width: "70px", num: true, put: (one) => count(one.seq) },
      { head: "At, UTC", width: "150px", put: (one) => when(one.at) },
      { head: "What", width: "150px", put: (one) => (BAD.has(one.what) ? state("silent", words(one)) : words(one)) },
      { head: "Who", width: "minmax(130px,.7fr)", put: (one) => `${one.principal}${one.by ? `, ${one.by}` : ""}` },
      { head: "Asked", width: "minmax(260px,1.6fr)", put: (one) => [one.verb, one.noun, one.asked].filter(Boolean).join(" ") || "–" },
      { head: "Meters", width: "70px", num: true, put: (one) => count(one.meters) },
      { head: "Which", width: "minmax(110px,.7fr)", put: (one) => el("span", "mono muted", (one.meters_listed || []).join(" ") || "–") },
      { head: "Outcome", width: "80px", put: (one) => one.outcome || (one.number ? count(one.number) : "–") },
      { head: "Reason", width: "minmax(180px,1.4fr)", put: (one) => [one.approved_by && `approved by ${one.approved_by}`, one.reason].filter(Boolean).join(": ") || "–" },
      { head: "Request", width: "minmax(200px,.9fr)", put: (one) => (one.request ? link(`/${one.what === REFUSED ? "traces" : "requests"}/${path(one.request)}`, one.request, "mono") : "–") },
    ],
  });
  let next = null;

  // One search looks through a bounded number of entries, so it is asked again until there is something, for a while.
  async function ask(before) {
    const asked = wanted(made);
    asked.set("limit", AT_ONCE);
    for (let turn = 0; turn < TURNS; turn += 1) {
      if (before) asked.set("before", before);
      const found = await api(`${API}/audit/search?${asked}`);
      next = before = found.next;
      if (found.entries.length || next === null) return found.entries.map(parsed);
    }
    return [];
  }

  async function search(pressed) {
    const shown = wanted(made);
    history.replaceState(null, "", shown.size ? `?${shown}` : location.pathname);
    const found = await doing(pressed, () => ask(null));
    if (found) grid.replace(found);
    older.hidden = next === null;
  }

  async function more(pressed) {
    const found = await doing(pressed, () => ask(next));
    if (found) grid.merge(found);
    older.hidden = next === null;
  }

  const check = who.button("POST /api/v1/audit/check", "Check all of it", async (event) => {
    const found = await doing(event.target, () => api(`${API}/audit/check`, { method: "POST", body: {} }));
    if (found) say(found);
  });
  const facts = el("dl");
  const verdict = attributes(el("span"), { role: "status", id: "verdict" });
  summary.append(verdict, facts, el("div", "sp"), check);

  function say(found) {
    verdict.replaceChildren(checkWords(found));
    const fact = (term, value) => el("div", "", el("dt", "", term), el("dd", "", value));
    facts.replaceChildren(...(found.ended_at ? [fact("Checked, UTC", when(found.ended_at))] : []), ...(found.anchor ? [fact("Anchor, to be kept elsewhere", el("span", "mono", found.anchor))] : []));
    if (found.running) setTimeout(async () => say(await api(`${API}/audit/check`)), LOOK_AGAIN_MS);
  }
  say(await api(`${API}/audit/check`));
  await search(null);
});
