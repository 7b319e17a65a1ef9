// On every page: that controls are stopped, while they are; and how many requests wait for approval.
import { $, api, attributes, count, el, when } from "../console/dom.js";
import { live } from "../console/live.js";
import { me } from "../console/who.js";
import { resumeControls } from "./guard.js";
import { API } from "./words.js";

const RESUME = "POST /api/v1/guard/resume";
const banner = attributes(el("div", "banner"), { role: "alert", id: "stopped", hidden: true });
const entry = $("header nav a[href='/approvals']");
const tally = attributes(el("span", "tally"), { id: "waiting", hidden: true });
$("header.top").after(banner);
entry?.append(tally);
let shown = "";

export async function show(stop) {
  const now = stop.stopped ? `${stop.by} ${stop.at} ${stop.reason}` : "";
  if (now === shown) return;
  shown = now;
  banner.hidden = !stop.stopped;
  if (!stop.stopped) return;
  const resume = (await me()).button(RESUME, "Resume controls", async (event) => {
    const found = await resumeControls(event.target);
    if (found) await show(found);
  });
  const why = stop.reason ? `: ${stop.reason}` : "";
  banner.replaceChildren(el("b", "", "All controls are stopped"), el("span", "", `by ${stop.by} since `, when(stop.at), why), el("div", "sp"), resume);
}

function wait(number) {
  tally.hidden = !number;
  tally.textContent = count(number);
  attributes(tally, { title: `${number} wait for approval` });
}

async function load() {
  const [stop, found] = await Promise.all([api(`${API}/guard/stop`), api(`${API}/approvals?state=waiting&limit=1000`)]);
  wait(found.approvals.length);
  await show(stop);
}

await load().catch(() => {}); // the page itself says what it could not ask
live((frame) => {
  if (!frame.guard) return;
  wait(frame.guard.waiting);
  show(frame.guard.stop);
}, () => load().catch(() => {}));
