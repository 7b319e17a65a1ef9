// How much may be switched in an hour, what is used of it and by whom, who is protected, what would become of an order, and the stop.
import { api, attributes, button, count, doing, el, link, page, path, plural, state } from "../console/dom.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { KIND_WORDS, stopControls, used } from "./guard.js";
import { API } from "./words.js";

const MOST_PROTECTED = 200;
const NUMBERS = new Set(["Meters", "Used", "Would be", "At most"]);
const heads = (...words) => el("thead", "", el("tr", "", ...words.map((word) => el("th", NUMBERS.has(word) ? "num" : "", word))));
const section = (title, ...content) => el("section", "", el("div", "bar", el("h2", "", title)), ...content);
const VERDICTS = { passes: ["connected", "It would be done at once"], "needs-approval": ["ready", "It would wait for a second person"], stopped: ["silent", "It would be refused: controls are stopped"] };

function limitsTable(limits) {
  if (!limits.length) return el("p", "note", "The settings have no limit.");
  const rows = limits.map((one) => el("tr", "", el("td", "", KIND_WORDS[one.kind] || one.kind), el("td", "", one.scope), el("td", "", used(one))));
  return el("table", "plain", heads("Kind", "Limit", "Used in the last hour"), el("tbody", "", ...rows));
}

function usesTable(found) {
  if (!found.uses.length) return el("p", "note", "Nobody has used anything in the last hour.");
  const rows = found.uses.map((one) => el("tr", "", el("td", "", KIND_WORDS[one.kind] || one.kind), el("td", "", one.scope), el("td", "", used(one))));
  const more = found.more ? el("p", "note", `and ${count(found.more)} more`) : null;
  return el("div", "", el("table", "plain", heads("Kind", "Who", "Used in the last hour"), el("tbody", "", ...rows)), more ?? "");
}

async function protectedMeters(tags) {
  const parts = await Promise.all(tags.map(async (tag) => [tag, await api(`${API}/meters?group=${encodeURIComponent(tag)}&limit=${MOST_PROTECTED}`)]));
  const rows = parts.map(([tag, found]) => {
    const names = found.meters.map((one) => link(`/meters/${path(one.name)}`, one.name, "mono"));
    const more = found.total - found.meters.length;
    const listed = names.length ? el("span", "names", ...names.flatMap((one) => [one, " "]), more > 0 ? `and ${count(more)} more` : "") : el("span", "faint", "none");
    return el("tr", "", el("td", "mono", tag), el("td", "num", count(found.total)), el("td", "", listed));
  });
  return el("table", "plain", heads("Tag", "Meters", "Which"), el("tbody", "", ...rows));
}

function labelled(word, field) {
  return el("label", "", word, field);
}

function dryRun(who) {
  const kind = el("select", "field");
  for (const [value, word] of Object.entries(KIND_WORDS)) kind.append(attributes(el("option", "", word), { value }));
  const meters = attributes(el("input", "field"), { placeholder: "M1001 M1002", size: 30 });
  const group = attributes(el("input", "field"), { placeholder: "feeder=F12", size: 16 });
  const principal = attributes(el("input", "field"), { placeholder: who.name, size: 16 });
  const answer = attributes(el("div", "answer"), { role: "status" });

  async function look(event) {
    event.preventDefault();
    const names = meters.value.split(/[\s,]+/).filter(Boolean);
    const order = { kind: kind.value, ...(names.length && { meters: names }), ...(group.value.trim() && { group: group.value.trim() }), ...(principal.value.trim() && { principal: principal.value.trim() }) };
    const found = await doing(go, () => api(`${API}/guard/check`, { method: "POST", body: order }));
    if (!found) return answer.replaceChildren();
    const rows = found.limits.map((one) => el("tr", "", el("td", "", one.scope), el("td", "num", count(one.used)), el("td", "num", count(one.would_be)), el("td", "num", count(one.limit)), el("td", "", one.beyond ? state("silent", "Beyond") : state("connected", "Within"))));
    const protectedOnes = found.protected.length ? el("p", "note", `Protected: ${found.protected.slice(0, 20).join(", ")}${found.protected.length > 20 ? ` and ${count(found.protected.length - 20)} more` : ""}`) : null;
    const table = rows.length ? el("table", "plain", heads("Limit", "Used", "Would be", "At most", ""), el("tbody", "", ...rows)) : null;
    answer.replaceChildren(...[el("p", "verdict", state(...VERDICTS[found.verdict]), ` for ${plural(found.meters, "meter")}. Nothing was done or counted.`), protectedOnes, table].filter(Boolean));
  }
  const go = attributes(el("button", "btn", "Look ahead"), { type: "submit" });
  const form = el("form", "form", labelled("What", kind), labelled("Meters", meters), labelled("or a group", group), labelled("Asked by", principal), go);
  form.addEventListener("submit", look);
  return section("What would become of an order", form, answer);
}

page(async (room) => {
  const who = await me();
  const summary = el("div", "sum");
  const pane = attributes(el("div", "pane"), { tabindex: 0 });
  const [limits, uses, shielded] = [el("div"), el("div"), el("div")];
  pane.append(section("Limits in a sliding hour", limits), section("Used by whom", uses), section("Protected meters, which always need approval", shielded), dryRun(who));
  room.append(summary, pane);

  function standing(stop) {
    summary.replaceChildren(el("h1", "", "Limits"), stop.stopped ? state("silent", "Controls are stopped") : state("connected", "Controls leave"), el("div", "sp"));
    if (stop.stopped) return; // the banner resumes
    summary.append(who.button("POST /api/v1/guard/stop", "Stop all controls", async (event) => (await stopControls(event.target)) && load(), "btn danger"));
  }

  async function load() {
    const [guard, used] = await Promise.all([api(`${API}/guard`), api(`${API}/guard/uses`)]);
    standing(guard.stop);
    limits.replaceChildren(limitsTable(guard.limits));
    uses.replaceChildren(usesTable(used));
    shielded.replaceChildren(await protectedMeters(guard.protected));
  }
  await load();
  let due = null;
  live((frame) => {
    if (frame.guard || frame.requests.length) due ??= setTimeout(() => ((due = null), load()), 1_000);
  }, load);
});
