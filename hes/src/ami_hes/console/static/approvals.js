// What a second person has to approve, and what was decided; the latest first.
import { api, el, link, page, path, plural, when } from "../console/dom.js";
import { Grid } from "../console/grid.js";
import { live } from "../console/live.js";
import { deed, decision } from "./guard.js";
import { API } from "./words.js";

const address = (one) => `/approvals/${path(one.id)}`;

page(async (room) => {
  const is = (word) => (one) => one.state === word;
  const grid = new Grid(room, {
    title: "Approvals",
    key: (one) => one.id,
    empty: "Nothing has had to be approved yet.",
    open: address,
    search: (one) => `${one.id} ${one.asked_by} ${one.summary} ${one.why} ${one.decided_by || ""} ${one.meters_listed.join(" ")}`,
    finds: "Find who, meter, reason",
    filters: [
      { word: "All" },
      { word: "Waiting", shape: "ready", test: is("waiting") },
      { word: "Approved", shape: "connected", test: is("approved") },
      { word: "Rejected", shape: "silent", test: is("rejected") },
      { word: "Expired", shape: "silent", test: is("expired") },
    ],
    columns: [
      { head: "State", width: "104px", put: decision, sort: (one) => one.state },
      { head: "What", width: "minmax(210px,1fr)", put: (one) => link(address(one), deed(one.kinds, one.meters), "strong"), sort: (one) => one.meters, down: true },
      { head: "Asked by", width: "minmax(120px,.6fr)", put: (one) => one.asked_by, sort: (one) => one.asked_by },
      { head: "Asked, UTC", width: "150px", put: (one) => when(one.asked_at), sort: (one) => one.asked_at, down: true },
      { head: "Until, UTC", width: "150px", put: (one) => when(one.expires_at), sort: (one) => one.expires_at },
      { head: "Why it waits", width: "minmax(280px,2fr)", put: (one) => one.why, sort: (one) => one.why },
      { head: "Decided by", width: "minmax(110px,.6fr)", put: (one) => el("span", "muted", one.decided_by || "–"), sort: (one) => one.decided_by || "" },
      { head: "Meters", width: "minmax(160px,1fr)", put: (one) => el("span", "mono muted", one.meters_listed.join(" ") || plural(one.meters, "meter")) },
    ],
  });
  const load = async () => grid.replace((await api(`${API}/approvals?limit=1000`)).approvals);
  await load();
  live((frame) => frame.guard && load(), load);
});
