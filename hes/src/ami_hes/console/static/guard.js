// What the pages about the guard against mass switching show alike.
import { api, count, doing, el, plural, state, told } from "../console/dom.js";
import { API } from "./words.js";

const KINDS = { disconnects: "Disconnect", load_limits: "Limit the load of", keys: "Change keys of", firmware: "Change firmware of" };
const CUSTOMERS = new Set(["disconnects", "load_limits"]);

// "Disconnect 60 customers": whose power it is, where it is somebody's power; else how many meters.
export function deed(kinds, meters) {
  const verb = kinds.map((kind) => KINDS[kind] || kind).join(", ");
  return `${verb} ${plural(meters, kinds.some((kind) => CUSTOMERS.has(kind)) ? "customer" : "meter")}`;
}

export const KIND_WORDS = { disconnects: "Disconnects", load_limits: "Load limits", keys: "Keys", firmware: "Firmware" };

const STATES = { waiting: ["ready", "Waiting"], approved: ["connected", "Approved"], rejected: ["silent", "Rejected"], expired: ["silent", "Expired"], withdrawn: ["plain", "Withdrawn"] };
export const decision = (approval) => state(...(STATES[approval.state] || ["plain", approval.state]));

// How much of a limit is used, as a bar and in words.
export function used(one) {
  if (one.limit === null) return el("span", "", `${count(one.used)}, no limit`);
  const track = el("div", "track2", el("i"), el("u"));
  const part = one.limit ? Math.min(100, (100 * one.used) / one.limit) : 100;
  track.style.setProperty("--good", part < 100 ? `${part}%` : "0%");
  track.style.setProperty("--wrong", part < 100 ? "0%" : "100%");
  return el("div", "progress", track, el("span", "", `${count(one.used)} of ${count(one.limit)}`));
}

export async function stopControls(pressed) {
  const reason = await told({
    title: "Stop all controls?",
    text: "From now on nothing leaves that changes a meter: no disconnect, no connect, no limit, no key, no firmware. What comes or waits ends with 5.2. Reading goes on. It holds over a restart, until somebody resumes.",
    label: "Why, for everybody who is refused meanwhile",
    act: "Stop all controls",
  });
  return reason === null ? undefined : doing(pressed, () => api(`${API}/guard/stop`, { method: "POST", body: { reason } }));
}

export async function resumeControls(pressed) {
  const reason = await told({
    title: "Resume controls?",
    text: "Controls leave again. What was refused meanwhile is not done: it has to be asked for again.",
    label: "Why, for the audit log",
    act: "Resume controls",
    danger: false,
  });
  return reason === null ? undefined : doing(pressed, () => api(`${API}/guard/resume`, { method: "POST", body: { reason } }));
}
