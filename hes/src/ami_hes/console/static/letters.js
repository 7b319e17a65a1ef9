// Dead letters: messages that were given up, to be sent again or dropped.
import { api, confirmed, count, doing, el, page, plural, toast, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { API } from "./words.js";

const AT_ONCE = 1_000;

page(async (room) => {
  const who = await me();
  const ids = (rows) => rows.slice(0, AT_ONCE).map((one) => one.message_id);

  async function again(rows, pressed) {
    const found = await doing(pressed, () => api(`${API}/dead-letters`, { method: "POST", body: { message_ids: ids(rows) } }));
    if (found) toast(`${plural(found.messages, "message")} will be sent again`);
    await load();
  }

  async function drop(rows, pressed) {
    if (!(await confirmed({ title: `Drop ${plural(rows.length, "dead letter")}?`, text: "Nobody will get them any more.", act: "Drop them" }))) return;
    const found = await doing(pressed, () => api(`${API}/dead-letters`, { method: "DELETE", body: { message_ids: ids(rows) } }));
    if (found) toast(`${plural(found.messages, "message")} dropped`);
    await load();
  }

  const grid = new Grid(room, {
    title: "Dead letters",
    key: (one) => one.message_id,
    empty: "No message was given up.",
    search: (one) => `${one.message_id} ${one.noun} ${one.subscriber || ""} ${one.address} ${one.reason}`,
    finds: "Find subscriber, reason",
    filters: [{ word: "All" }, { word: "Late replies", test: (one) => !one.subscriber }, { word: "Events", test: (one) => one.subscriber }],
    actions: [
      { word: "Send again", act: again, lacks: who.lacks("POST /api/v1/dead-letters") },
      { word: "Drop", act: drop, danger: true, lacks: who.lacks("DELETE /api/v1/dead-letters") },
    ],
    columns: [
      { head: "Given up, UTC", width: "150px", put: (one) => when(one.given_up_at), sort: (one) => one.given_up_at, down: true },
      { head: "Noun", width: "160px", put: (one) => one.noun, sort: (one) => one.noun },
      { head: "For", width: "minmax(120px,.6fr)", put: (one) => one.subscriber || "a request", sort: (one) => one.subscriber || "" },
      { head: "Attempts", width: "76px", num: true, put: (one) => count(one.attempts), sort: (one) => one.attempts, down: true },
      { head: "Address", width: "minmax(180px,1fr)", put: (one) => el("span", "mono muted", one.address) },
      { head: "Reason", width: "minmax(260px,2fr)", put: (one) => one.reason, sort: (one) => one.reason },
      { head: "MessageID", width: "minmax(280px,1fr)", put: (one) => el("span", "mono", one.message_id) },
    ],
  });

  const load = async () => grid.replace((await api(`${API}/dead-letters?limit=1000`)).dead_letters);
  await load();
  live(() => {}, load);
});
