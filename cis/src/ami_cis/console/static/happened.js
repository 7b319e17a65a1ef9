// An event as a line: power and open alarms with a triangle, all else with a ring. Many of one kind are one line.
import { el, legible, link, path, plural, when } from "../console/dom.js";

const POWER_DOWN = /\.26\.38\.85$/;
const NAMES = [
  [POWER_DOWN, "Power down"],
  [/\.26\.38\.49$/, "Power up"],
  [/\.31\.0\.68$/, "Disconnected"],
  [/\.31\.0\.42$/, "Connected"],
];

export const name = (one) => NAMES.find(([code]) => code.test(one.code))?.[1] || one.reason?.replace(`${one.meter}: `, "") || one.code;
export const isAlarm = (one) => POWER_DOWN.test(one.code) || (!one.closed_at && one.details?.alarm !== undefined);

export function eventLine(one) {
  const line = el("li", isAlarm(one) ? "alarm" : "", when(one.at), el("i", "dot"), el("b", "", name(one)), link(`/usage-points/${path(one.meter)}`, one.meter, "mono"));
  if (one.reason) line.title = legible(one.reason);
  return line;
}

// A group is acknowledged when all of it is, by who was last.
function acknowledged(all) {
  const last = all.every((one) => one.acknowledged_at) ? all.toSorted((a, b) => (a.acknowledged_at < b.acknowledged_at ? 1 : -1))[0] : {};
  return { acknowledged_at: last.acknowledged_at, acknowledged_by: last.acknowledged_by };
}

// Events of one kind within a minute are one group, when they are more than a few.
const FEW = 3;
export function grouped(events) {
  const groups = new Map();
  for (const one of events) {
    const key = `${one.code} ${one.at.slice(0, 16)}`;
    groups.set(key, [...(groups.get(key) || []), one]);
  }
  return [...groups.entries()].flatMap(([key, all]) =>
    all.length <= FEW
      ? all.map((one) => ({ ...one, key: one.event_id, many: 1, meters: one.meter }))
      : [{ ...all[0], ...acknowledged(all), key, many: all.length, meters: plural(new Set(all.map((one) => one.meter)).size, "meter"), all }],
  );
}
