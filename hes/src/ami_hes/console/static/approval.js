// One request or campaign that a second person decides about: what it would do to whom, who asked, and which limit it is beyond.
import { api, count, doing, el, link, page, path, toast, told, when } from "../console/dom.js";
import { live } from "../console/live.js";
import { me, unusable } from "../console/who.js";
import { deed, decision, KIND_WORDS, used } from "./guard.js";
import { API } from "./words.js";

const id = decodeURIComponent(location.pathname.slice("/approvals/".length));
const address = `${API}/approvals/${path(id)}`;
const APPROVE = "POST /api/v1/approvals/{message_id}/approve";
const REJECT = "POST /api/v1/approvals/{message_id}/reject";
const fact = (term, value) => el("div", "", el("dt", "", term), el("dd", "", value));
const section = (title, ...content) => el("section", "", el("div", "bar", el("h2", "", title)), ...content);
const row = (term, value) => [el("dt", "", term), el("dd", "", value)];

page(async (room) => {
  const who = await me();
  const summary = el("div", "sum");
  const pane = el("div", "pane");
  pane.tabIndex = 0;
  room.append(summary, pane);

  async function decide(one, event, approve) {
    const what = deed(one.kinds, one.meters);
    const note = await told({
      title: approve ? `${what}?` : `Reject “${what}”?`,
      text: approve ? `${one.asked_by} has asked for it: ${one.why}. It begins at once, and what has left for a meter can't be fetched back.` : `Nothing is done to any meter, and ${one.asked_by} gets 5.2 with your reason.`,
      label: "Why, for who asked and for the audit log",
      act: approve ? `Approve: ${what.toLowerCase()}` : "Reject it",
      danger: approve,
    });
    if (note === null) return;
    const found = await doing(event.target, () => api(`${address}/${approve ? "approve" : "reject"}`, { method: "POST", body: { note } }));
    if (found) toast(`${found.state} by ${found.decided_by}`);
    await load();
  }

  function acts(one) {
    if (one.state !== "waiting") return [];
    const own = one.asked_by === who.name && who.may(APPROVE);
    const approve = own ? unusable("Approve", "somebody else than who asked has to approve it") : who.button(APPROVE, "Approve", (event) => decide(one, event, true), "btn danger");
    return [approve, who.button(REJECT, "Reject", (event) => decide(one, event, false))];
  }

  const asked = (one) => (one.of === "campaign" ? link(`/campaigns/${path(one.id)}`, one.id, "mono") : link(`/requests/${path(one.id)}`, one.id, "mono"));

  function head(one) {
    const facts = el("dl", "", fact("Asked by", one.asked_by), fact("Asked, UTC", when(one.asked_at)), fact("Waits until, UTC", when(one.expires_at)));
    if (one.decided_by) facts.append(fact("Decided by", one.decided_by), fact("Decided, UTC", when(one.decided_at)));
    return [el("h1", "", deed(one.kinds, one.meters)), decision(one), facts, el("div", "sp"), ...acts(one)];
  }

  function what(one) {
    const facts = el("dl", "facts", ...row("Why it waits", one.why), ...row("Request", one.summary), ...row(one.of === "campaign" ? "Campaign" : "MessageID", asked(one)));
    if (one.note) facts.append(...row("Reason", one.note));
    if (one.begun_as) facts.append(...row("Begun as", link(`/requests/${path(one.begun_as)}`, one.begun_as, "mono")));
    return section("What was asked", facts);
  }

  function meters(one) {
    const more = one.meters - one.meters_listed.length;
    const names = el("p", "names mono", one.meters_listed.join(" "));
    if (more > 0) names.append(el("span", "muted", ` and ${count(more)} more`));
    return section(`Meters, ${count(one.meters)}`, names, el("dl", "facts", ...row("SHA-256 over their mRIDs", el("span", "mono wrap", one.meters_sha256))));
  }

  function limits(one, found) {
    const rows = found.limits.filter((use) => one.kinds.includes(use.kind)).map((use) => el("tr", "", el("td", "", KIND_WORDS[use.kind] || use.kind), el("td", "", use.scope), el("td", "", used(use))));
    if (!rows.length) return null;
    const heads = el("tr", "", ...["Kind", "Whose limit", "Used in the last hour"].map((word) => el("th", "", word)));
    return section("Limits now", el("table", "plain", el("thead", "", heads), el("tbody", "", ...rows)));
  }

  async function load() {
    const one = await api(address);
    const found = await api(`${API}/guard?principal=${encodeURIComponent(one.asked_by)}`);
    document.title = `${deed(one.kinds, one.meters)} · HES console`;
    summary.replaceChildren(...head(one));
    pane.replaceChildren(...[what(one), meters(one), limits(one, found)].filter(Boolean));
  }
  await load();
  live((frame) => frame.guard && load(), load);
});
