// What several pages of the head-end show alike.
import { count, el, pill, plural, state } from "../console/dom.js";

export const API = "/api/v1";

// How a request stands: its reply's result, or that it has none yet.
export const standing = (request) => request.result || "RUNNING";

export function progress(request) {
  if (!request.meters) return el("span", "faint", "–"); // what the head-end sends unasked, or refused before it looked at meters
  const failed = request.done - request.ok;
  const track = el("div", "track2", el("i"), el("u"));
  track.style.setProperty("--good", `${(100 * request.ok) / request.meters}%`);
  track.style.setProperty("--wrong", `${(100 * failed) / request.meters}%`);
  const words = failed ? `${count(request.ok)} ok, ${count(failed)} failed` : `${count(request.ok)} of ${count(request.meters)}`;
  return el("div", "progress", track, el("span", "", words));
}

export const targets = (request) => (request.meters ? plural(request.meters, "meter") : el("span", "faint", "–"));

export function switched(contact) {
  const word = { connected: "Connected", disconnected: "Disconnected", ready: "Ready to connect" }[contact?.switch];
  return word ? state(contact.switch, word) : el("span", "faint", "–");
}

export function answered(contact) {
  if (!contact?.commands) return state("plain", contact?.pushes ? "Heard" : "Not asked yet");
  return contact.ok ? state("connected", "Answered") : state("silent", "Failed");
}

export const outcome = (command) => (command.ok === null ? pill("RUNNING") : pill(command.ok ? "OK" : "FAILED"));
