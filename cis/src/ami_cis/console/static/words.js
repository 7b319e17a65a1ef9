// What several pages of the CIS show alike, and the orders that they give.
import { api, attributes, confirmed, count, doing, el, plural, state, toast } from "../console/dom.js";

export const API = "/api/v1";
export const READ = "POST /api/v1/readings";
export const CONTROL = "POST /api/v1/controls";
const ENERGY = "import";
const REFUSED = "5.2"; // the reply code of what a limit or a stop keeps from being done

// A meter as a list and the map show it: what matters most first.
export const STATES = [
  { key: "connected", shape: "connected", word: "Connected" },
  { key: "disconnected", shape: "disconnected", word: "Disconnected" },
  { key: "ready", shape: "ready", word: "Ready" },
  { key: "silent", shape: "silent", word: "No answer" },
  { key: "unknown", shape: "plain", word: "Unknown" },
];
// A meter that did not answer; one that answered and refused is where its switch was.
const SILENT = "4.1";
const silent = (point) => point.answered === false && point.code === SILENT;
export const stateOf = (point) => (point.powered === false || silent(point) ? "silent" : point.switch || "unknown");

export function stateWord(point) {
  if (point.powered === false) return state("silent", "No power");
  if (silent(point)) return state("silent", "No answer");
  const found = STATES.find((one) => one.key === stateOf(point));
  return state(found.shape, found.word);
}

export const standing = (request) => {
  if (request.result) return request.result;
  return { failed: "FAILED", unknown: "UNKNOWN" }[request.state] || "RUNNING";
};

export const what = (request) => (request.control ? `${request.control}` : `${request.verb} ${request.noun}`);

export function progress(request) {
  const good = request.result ? request.meters - request.failed : 0;
  const track = el("div", "track2", el("i"), el("u"));
  track.style.setProperty("--good", `${request.meters ? (100 * good) / request.meters : 0}%`);
  track.style.setProperty("--wrong", `${request.meters ? (100 * request.failed) / request.meters : 0}%`);
  return el("div", "progress", track, el("span", "", request.failed ? `${count(good)} ok, ${count(request.failed)} failed` : `${count(good)} of ${count(request.meters)}`));
}

// The address of a place, else its coordinates; those are where the pointer rests.
export function where(place) {
  if (!place) return "–";
  const degrees = `${place.latitude}, ${place.longitude}`;
  return attributes(el("span", "", place.main_address || degrees), { title: `${degrees} (WGS 84)` });
}

// Everybody who lives behind a meter: a usage point is one customer, a meter without one is counted as one.
export const customers = (points) => points.reduce((sum, one) => sum + Math.max(1, one.usage_points.length), 0);

const CONTROLS = {
  disconnect: { title: "Disconnect", text: "Their supply is cut as soon as the head-end reaches the meters. It is connected again by a control of its own." },
  connect: { title: "Connect", text: "Their supply is switched on as soon as the head-end reaches the meters, or as soon as the customer closes the switch, as the meter is set up." },
};

// A control for some meters, once somebody has said yes to how many customers it is about.
export async function control(name, points, pressed) {
  const { title, text } = CONTROLS[name];
  const wanted = await confirmed({ title: `${title} ${plural(customers(points), "customer")}?`, text: `${plural(points.length, "meter")}: ${points.slice(0, 8).map((one) => one.meter).join(", ")}${points.length > 8 ? " …" : ""}\n\n${text}`, act: `${title} ${plural(customers(points), "customer")}` });
  if (!wanted) return null;
  toast(`${title} of ${plural(points.length, "meter")} is on its way`);
  const order = { code: name, meters: points.map((one) => one.meter) };
  const ended = await doing(pressed, () => api(`${API}/controls`, { method: "POST", body: order }));
  if (ended?.errors.some((one) => one.code === REFUSED)) return approval(title, order, ended, pressed);
  if (ended) toast(`${title}: ${ended.result || ended.reason}`, ended.result !== "OK");
  return ended;
}

// What the head-end does not do at once may wait there for a second person: it is asked again as one that does.
async function approval(title, order, ended, pressed) {
  const why = ended.errors.find((one) => one.code === REFUSED).reason;
  const wanted = await confirmed({ title: "Send it again, to wait for a second person?", text: `Nothing was done. The head-end says: ${why}\n\nIt can wait there until somebody else approves it, or until its time is over. This console shows what comes of it among the requests.`, act: "Send it, to wait" });
  if (!wanted) return ended;
  const sent = await doing(pressed, () => api(`${API}/controls`, { method: "POST", body: { ...order, asynchronous: true, until_acknowledged: true } }));
  if (sent) toast(sent.accepted ? `${title} waits: ${sent.errors[0]?.reason || "acknowledged"}` : `${title}: ${sent.result || sent.reason}`, !sent.accepted && sent.result !== "OK");
  return sent;
}

export async function read(points, pressed) {
  toast(`${plural(points.length, "meter")} will be read`);
  const ended = await doing(pressed, () => api(`${API}/readings`, { method: "POST", body: { meters: points.map((one) => one.meter), reading_types: [ENERGY] } }));
  if (ended) toast(`Read: ${ended.result || ended.reason}, ${plural(ended.readings.length, "value")}`, ended.result !== "OK");
  return ended;
}
