// What has happened to meters, the latest first, as it comes.
import { api, el, link, page, path, state, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { API } from "./words.js";

const MOST = 5_000;
const LOADED = 1_000;

// EndDeviceEventTypes end in what has happened (IEC 61968-9, Annex E): these are about power and tampering.
const isOpen = (one) => !one.closed_at && one.source === "alarm";
const words = (one) => one.reason.replace(`${one.meter}: `, "");
const isPower = (one) => one.type.split(".")[1] === "26";

page(async (room) => {
  const grid = new Grid(room, {
    title: "Events",
    key: (one) => one.event_id,
    newest: true,
    most: MOST,
    empty: "Nothing has happened to any meter yet.",
    open: (one) => `/meters/${path(one.meter)}`,
    search: (one) => `${one.meter} ${one.type} ${one.reason} ${one.source}`,
    finds: "Find meter, type, words",
    filters: [
      { word: "All" },
      { word: "Power", shape: "silent", test: isPower },
      { word: "Open alarms", shape: "silent", test: isOpen },
      { word: "Controls", shape: "plain", test: (one) => one.source === "control" },
    ],
    columns: [
      { head: "At, UTC", width: "150px", put: (one) => when(one.at), sort: (one) => one.at, down: true },
      { head: "Clock", width: "74px", put: (one) => el("span", "muted", one.clock), sort: (one) => one.clock },
      { head: "Meter", width: "minmax(110px,.5fr)", put: (one) => link(`/meters/${path(one.meter)}`, one.meter, "mono"), sort: (one) => one.meter },
      { head: "Type", width: "110px", mono: true, put: (one) => one.type, sort: (one) => one.type },
      { head: "What", width: "minmax(300px,3fr)", put: (one) => (isPower(one) || isOpen(one) ? state("silent", words(one)) : words(one)), sort: (one) => one.reason },
      { head: "From", width: "90px", put: (one) => el("span", "muted", one.source), sort: (one) => one.source },
      { head: "Came, UTC", width: "150px", put: (one) => when(one.received_at), sort: (one) => one.received_at, down: true },
    ],
  });

  const load = async () => grid.replace((await api(`${API}/events?limit=${LOADED}`)).events);
  await load();
  let due = null;
  live((frame) => {
    if (frame.more_events) due ??= setTimeout(() => ((due = null), load()), 1_000);
    else if (frame.events.length) grid.merge(frame.events.toReversed());
  }, load);
});
