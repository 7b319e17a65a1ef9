// The registry, and how each meter answered when it was asked last.
import { api, count, el, link, page, path, seconds, toast, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { answered, API, switched } from "./words.js";

const AT_ONCE = 1_000;
const MOST = 20_000;

async function all(address, field) {
  const found = [];
  for (let after = ""; after !== null && found.length < MOST; ) {
    const part = await api(`${address}?limit=${AT_ONCE}${after ? `&after=${encodeURIComponent(after)}` : ""}`);
    found.push(...part[field]);
    after = part.next;
    if (part.total > MOST && found.length >= MOST) toast(`The first ${count(MOST)} of ${count(part.total)} meters are shown`);
  }
  return found;
}

page(async (room) => {
  const failed = (one) => one.contact?.ok === false;
  const grid = new Grid(room, {
    title: "Meters",
    key: (one) => one.name,
    open: (one) => `/meters/${path(one.name)}`,
    search: (one) => `${one.name} ${one.mrid} ${one.address} ${Object.values(one.tags).join(" ")}`,
    finds: "Find meter, address, tag",
    empty: "The registry has no meter yet.",
    filters: [
      { word: "All" },
      { word: "Answered", shape: "connected", test: (one) => one.contact?.ok === true },
      { word: "Failed", shape: "silent", test: failed },
      { word: "Not asked yet", shape: "plain", test: (one) => !one.contact?.commands },
    ],
    columns: [
      { head: "Meter", width: "minmax(110px,.6fr)", put: (one) => link(`/meters/${path(one.name)}`, one.name, "mono"), sort: (one) => one.name },
      { head: "Last command", width: "130px", put: (one) => answered(one.contact), sort: (one) => String(one.contact?.ok) },
      { head: "Switch", width: "150px", put: (one) => switched(one.contact), sort: (one) => one.contact?.switch || "" },
      { head: "Last contact, UTC", width: "150px", put: (one) => when(one.contact?.heard_at), sort: (one) => one.contact?.heard_at || "", down: true },
      { head: "Commands", width: "80px", num: true, put: (one) => count(one.contact?.commands ?? 0), sort: (one) => one.contact?.commands ?? 0, down: true },
      { head: "Failures", width: "80px", num: true, put: (one) => el("span", one.contact?.failures ? "bad" : "", count(one.contact?.failures ?? 0)), sort: (one) => one.contact?.failures ?? 0, down: true },
      { head: "Took", width: "66px", num: true, put: (one) => seconds(one.contact?.ms), sort: (one) => one.contact?.ms ?? -1, down: true },
      { head: "State", width: "110px", put: (one) => el("span", "muted", one.state), sort: (one) => one.state },
      { head: "Address", width: "minmax(150px,.7fr)", mono: true, put: (one) => (one.contact?.dialled_in ? `${one.address}, dialled in` : one.address), sort: (one) => one.address },
      { head: "Why it failed", width: "minmax(260px,2fr)", put: (one) => (failed(one) ? `${one.contact.reply_code} ${one.contact.reason}` : "") },
    ],
  });

  async function load() {
    const [meters, contacts] = await Promise.all([all(`${API}/meters`, "meters"), all(`${API}/contacts`, "contacts")]);
    const byName = new Map(contacts.map((one) => [one.meter, one]));
    grid.replace(meters.map((one) => ({ ...one, contact: byName.get(one.name) })));
  }
  await load();
  live((frame) => {
    const known = frame.contacts.filter((one) => grid.byKey.has(one.meter));
    if (known.length) grid.merge(known.map((one) => ({ ...grid.byKey.get(one.meter), contact: one })));
  }, load);
});
