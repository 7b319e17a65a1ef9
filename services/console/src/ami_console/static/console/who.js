// Who looks at this page, and what they may do: a button that they may not use says which role it takes.
import { api, attributes, button, el } from "./dom.js";

const ADDRESS = "/api/v1/principal";
let asked = null;

class Me {
  constructor(found) {
    this.name = found.name;
    this.roles = found.roles;
    this.operations = new Map(found.operations.map((one) => [`${one.method} ${one.path}`, one]));
  }

  may(operation) {
    return Boolean(this.operations.get(operation)?.may);
  }

  // Why not, in words; nothing where they may. operation: as the description of the API has it, "POST /api/v1/guard/stop".
  lacks(operation) {
    if (this.may(operation)) return null;
    const role = this.operations.get(operation)?.role || "admin";
    const has = this.roles.join(", ").replaceAll("-", " ") || "none";
    return `takes the role ${role.replace("-", " ")}; ${this.name} has ${has}`;
  }

  button(operation, word, act, className = "btn") {
    const why = this.lacks(operation);
    return why ? unusable(word, why) : button(word, act, className);
  }
}

export const me = () => (asked ??= api(ADDRESS).then((found) => new Me(found)));

// A button that can't be pressed, and why.
export function unusable(word, why) {
  const dead = attributes(el("button", "btn", word), { type: "button", disabled: true });
  return el("span", "cannot", dead, el("span", "muted", why));
}
