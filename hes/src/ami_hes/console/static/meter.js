// One meter: its entry, how it answered last, and what has happened to it.
import { api, count, el, page, path, seconds, when } from "../console/dom.js";
import { live } from "../console/live.js";
import { answered, API, switched } from "./words.js";

const name = decodeURIComponent(location.pathname.slice("/meters/".length));

const row = (term, value) => [el("dt", "", term), el("dd", "", value instanceof Node ? value : value === null || value === undefined || value === "" ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value))];

function facts(title, pairs) {
  return el("section", "", el("div", "bar", el("h2", "", title)), el("dl", "facts", ...pairs.flatMap(([term, value]) => row(term, value))));
}

function contacted(contact) {
  if (!contact) return facts("Contact", [["Commands", "none since this process began"]]);
  return facts("Contact, since this process began", [
    ["Last command", answered(contact)],
    ["Operation", contact.operation],
    ["Asked", when(contact.asked_at)],
    ["Took", seconds(contact.ms)],
    ["Why it failed", contact.ok === false ? `${contact.reply_code} ${contact.reason}` : "–"],
    ["Heard last", when(contact.heard_at)],
    ["Commands", count(contact.commands)],
    ["Failures", count(contact.failures)],
    ["Pushes", count(contact.pushes)],
    ["Switch", switched(contact)],
    ["Dialled in", contact.dialled_in ? "yes" : "no"],
  ]);
}

function happened(events) {
  const rows = events.map((one) => el("li", "", when(one.at), el("span", "mono muted", one.type), el("p", "", one.reason.replace(`${one.meter}: `, ""))));
  const body = rows.length ? el("ol", "notes", ...rows) : el("p", "note", "Nothing is known to have happened to it.");
  return el("section", "", el("div", "bar", el("h2", "", "Events, UTC")), body);
}

function commissioned(one) {
  if (!one) return null;
  return facts(`Commissioning, campaign ${one.campaign}`, one.steps.map((step) => [step.step, `${step.result}${step.reason ? `: ${step.reason}` : ""}`]));
}

page(async (room) => {
  const summary = el("div", "sum");
  const left = el("div", "pane");
  const side = el("aside", "side");
  left.tabIndex = side.tabIndex = 0;
  room.append(summary, el("div", "split", left, side));
  let contact;

  async function load() {
    const meter = await api(`${API}/meters/${path(name)}`);
    document.title = `${meter.name} · HES console`;
    const found = await api(`${API}/events?limit=50&meter=${encodeURIComponent(meter.name)}`);
    contact ??= (await api(`${API}/contacts?limit=1&after=${encodeURIComponent(before(meter.name))}`)).contacts.find((one) => one.meter === meter.name);
    summary.replaceChildren(el("h1", "mono", meter.name), answered(contact), el("dl", "", el("div", "", el("dt", "", "mRID"), el("dd", "mono", meter.mrid)), el("div", "", el("dt", "", "State"), el("dd", "", meter.state)), el("div", "", el("dt", "", "From"), el("dd", "", meter.source))));
    left.replaceChildren(
      ...[
        facts("Entry of the registry", Object.entries(meter.entry)),
        facts("Defaults, where the entry says nothing", Object.entries(meter.defaults)),
        facts("Secrets that are kept", [["Purposes", meter.secrets.join(", ") || "none"]]),
        commissioned(meter.commissioning),
      ].filter(Boolean),
    );
    side.replaceChildren(contacted(contact), happened(found.events));
  }

  // The name that comes just before this one, so that the list of contacts begins with it.
  const before = (text) => text.slice(0, -1) + String.fromCharCode(Math.max(1, text.charCodeAt(text.length - 1) - 1)) + "\u{10ffff}";
  await load();
  live((frame) => {
    const mine = frame.contacts.find((one) => one.meter === name);
    contact = mine || contact;
    if (mine || frame.events.some((one) => one.meter === name)) load();
  }, () => ((contact = undefined), load()));
});
