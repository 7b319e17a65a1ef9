// What several pages of the simulator show alike.
import { state } from "../console/dom.js";

export const API = "/api/v1";

export function standing(meter) {
  if (!meter.powered) return state("silent", "No power");
  return meter.connected ? state("connected", "Connected") : state("disconnected", "Disconnected");
}
export const stateOf = (meter) => (!meter.powered ? "silent" : meter.connected ? "connected" : "disconnected");
