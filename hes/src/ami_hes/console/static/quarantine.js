// Who has called and is in no entry of the registry: taken in, or forgotten. Nothing that they say of themselves is proved.
import { api, attributes, confirmed, count, doing, el, page, path, toast, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { me } from "../console/who.js";
import { live } from "../console/live.js";
import { API } from "./words.js";

const ACCEPT = "POST /api/v1/quarantine/{name}";
const FORGET = "DELETE /api/v1/quarantine/{name}";
const address = (one) => `${API}/quarantine/${path(one.name)}`;

function field(name, label, more = {}) {
  return el("label", "", label, attributes(el("input", "field"), { name, maxlength: 100, autocomplete: "off", ...more }));
}

page(async (room) => {
  const who = await me();
  const grid = new Grid(room, {
    title: "Quarantine",
    key: (one) => one.name,
    empty: "Nobody has called who is in no entry.",
    search: (one) => `${one.name} ${one.system_title || ""} ${one.address}`,
    finds: "Find caller, address",
    filters: [{ word: "All" }],
    columns: [
      { head: "Says its name is", width: "minmax(180px,1fr)", mono: true, put: (one) => one.name, sort: (one) => one.name },
      { head: "System title", width: "160px", mono: true, put: (one) => one.system_title || "–", sort: (one) => one.system_title || "" },
      { head: "From", width: "minmax(160px,.8fr)", mono: true, put: (one) => one.address, sort: (one) => one.address },
      { head: "First, UTC", width: "150px", put: (one) => when(one.first_seen_at), sort: (one) => one.first_seen_at, down: true },
      { head: "Last, UTC", width: "150px", put: (one) => when(one.last_seen_at), sort: (one) => one.last_seen_at, down: true },
      { head: "Calls", width: "70px", num: true, put: (one) => count(one.calls), sort: (one) => one.calls, down: true },
      { head: "", width: "170px", put: (one) => el("span", "cells", small(ACCEPT, "Take in", (event) => open(one, event.target)), small(FORGET, "Forget", (event) => forget(one, event.target))) },
    ],
  });
  const lacks = who.lacks(ACCEPT);
  if (lacks) room.append(el("p", "note", `Taking a caller in ${lacks}.`));

  function small(operation, word, act) {
    if (!who.may(operation)) return "";
    return who.button(operation, word, act, "btn sm");
  }

  async function forget(one, pressed) {
    if (!(await confirmed({ title: `Forget ${one.name}?`, text: "Should it call again, it is here again.", act: "Forget it" }))) return;
    await doing(pressed, () => api(address(one), { method: "DELETE" }));
    await load();
  }

  // As a meter without keys; one with keys comes by its row of a shipment, which no page ever sees.
  function open(one, pressed) {
    const form = el("form", "form stacked", field("name", "Name of the meter", { required: true }), field("mrid", "mRID", { required: true, placeholder: "5f0c9a52-0000-4000-8000-000000009001" }), field("device_id", "Device id, as it has to show it", { required: true }));
    if (one.name === one.system_title) form.append(field("logical_device_name", "Logical device name, as it has to show it", { required: true }));
    const cancel = attributes(el("button", "btn", "Cancel"), { type: "button" });
    const go = attributes(el("button", "btn primary", "Take it in"), { type: "submit" });
    form.append(el("div", "acts turned", go, cancel));
    const text = el("p", "", `It is taken in as a meter that is spoken to without keys. One with keys is taken in with its row of a shipment: hes meters quarantine accept ${one.name} --shipment FILE.`);
    const dialog = attributes(el("dialog", "", el("h2", "", `Take ${one.name} in?`), text, form), { "aria-label": "Take a caller in" });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const columns = { authentication: "none", ...Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value)) };
      const found = await doing(go, () => api(address(one), { method: "POST", body: { columns } }));
      if (!found) return;
      toast(`${found.meter} is in the registry: its next call is recognised`);
      dialog.close();
      await load();
    });
    document.body.append(dialog);
    dialog.showModal();
    pressed.blur();
  }

  const load = async () => grid.replace((await api(`${API}/quarantine`)).callers);
  await load();
  let due = null;
  live(() => (due ??= setTimeout(() => ((due = null), load()), 2_000)), load);
});
