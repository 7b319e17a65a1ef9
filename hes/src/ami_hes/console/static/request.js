// One request: what was asked, what came of it at each meter, and why not.
import { $, api, attributes, between, confirmed, doing, el, link, page, path, pill, plural, seconds, toast, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { API, outcome, progress, standing } from "./words.js";

const messageId = decodeURIComponent(location.pathname.slice("/requests/".length));

function fact(name, value) {
  return el("div", "", el("dt", "", name), el("dd", "", value));
}

function head(details, who) {
  const { request, delivery, reply_address: address } = details;
  const facts = el(
    "dl",
    "",
    fact("MessageID", el("span", "mono", request.message_id)),
    fact("Accepted, UTC", when(request.accepted_at)),
    fact("Answered, UTC", request.answered_at ? when(request.answered_at) : "not yet"),
    fact("Took", seconds(between(request.accepted_at, request.answered_at))),
    fact("From", request.source || "–"),
    fact("Reply", address ? `to ${address}` : "on the same connection"),
    fact("Meters", progress(request)),
  );
  const made = el("div", "sum", el("h1", "", `${request.verb} ${request.noun}`), pill(standing(request)), facts, el("div", "sp"));
  if (delivery) made.append(el("span", "warn", `${delivery.attempts} attempts to deliver the reply: ${delivery.last_reason}`));
  if (!request.answered_at && request.done < request.meters) made.append(who.button("DELETE /api/v1/jobs/{message_id}", "Cancel what is not begun", cancel, "btn danger"));
  if ($("header nav a[href='/traces']")) made.append(link(`/traces/${path(request.message_id)}`, "Trace", "btn"));
  return made;
}

async function cancel(event) {
  const wanted = await confirmed({ title: "Cancel this request?", text: "Commands that have not begun are ended. Those under way go on to their end.", act: "Cancel the request" });
  if (!wanted) return;
  const found = await doing(event.target, () => api(`${API}/jobs/${path(messageId)}`, { method: "DELETE" }));
  if (found) toast(`${plural(found.commands, "command")} cancelled`);
}

page(async (room) => {
  const who = await me();
  const summary = el("div");
  room.append(summary);
  const grid = new Grid(room, {
    title: "Meters",
    key: (one) => `${one.mrid} ${one.operation}`,
    open: (one) => `/meters/${path(one.meter)}`,
    search: (one) => `${one.meter} ${one.operation} ${one.reply_code || ""} ${one.reason || ""}`,
    finds: "Find meter, code, reason",
    empty: "This request is for no meter.",
    filters: [{ word: "All" }, { word: "OK", test: (one) => one.ok === true }, { word: "FAILED", test: (one) => one.ok === false }, { word: "RUNNING", test: (one) => one.ok === null }],
    columns: [
      { head: "Result", width: "80px", put: outcome, sort: (one) => String(one.ok) },
      { head: "Meter", width: "minmax(110px,.5fr)", put: (one) => link(`/meters/${path(one.meter)}`, one.meter, "mono"), sort: (one) => one.meter },
      { head: "Operation", width: "minmax(130px,.5fr)", put: (one) => one.operation, sort: (one) => one.operation },
      { head: "Code", width: "64px", mono: true, put: (one) => one.reply_code, sort: (one) => one.reply_code || "" },
      { head: "Reason", width: "minmax(320px,3fr)", put: (one) => one.reason || "", sort: (one) => one.reason || "" },
      { head: "Took", width: "70px", num: true, put: (one) => seconds(one.took_ms), sort: (one) => one.took_ms ?? -1, down: true },
      { head: "Ended, UTC", width: "150px", put: (one) => when(one.finished_at), sort: (one) => one.finished_at || "" },
    ],
  });

  let last = 0;
  async function load() {
    const asked = ++last;
    const details = await api(`${API}/requests/${path(messageId)}`);
    if (asked !== last) return;
    document.title = `${details.request.verb} ${details.request.noun} · HES console`;
    summary.replaceChildren(head(details, who));
    if (grid.rows.length) grid.merge(details.commands);
    else grid.replace(details.commands);
  }
  await load();
  live((frame) => frame.requests.some((one) => one.message_id === messageId) && load(), load);
  attributes(summary, { "data-filled": true });
});
