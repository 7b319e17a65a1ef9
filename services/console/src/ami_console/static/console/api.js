// The REST API of this process, from its own description: every operation with what it takes and gives.
import { api, el, link, page } from "./dom.js";

function shape(schema, all, depth = 0, seen = new Set()) {
  if (!schema) return "nothing";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    if (seen.has(name) || depth > 4) return name;
    return shape(all[name], all, depth, new Set([...seen, name]));
  }
  const pad = "  ".repeat(depth + 1);
  if (schema.type === "object" && schema.properties) {
    const needed = new Set(schema.required || []);
    const lines = Object.entries(schema.properties).map(([name, of]) => `${pad}${name}${needed.has(name) ? "" : "?"}: ${shape(of, all, depth + 1, seen)}`);
    return `{\n${lines.join("\n")}\n${"  ".repeat(depth)}}`;
  }
  if (schema.type === "array" || schema.prefixItems) return `[${shape(schema.items || schema.prefixItems?.[0] || {}, all, depth, seen)}]`;
  if (schema.anyOf) return schema.anyOf.map((one) => shape(one, all, depth, seen)).join(" | ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  return `${schema.type || "any"}${schema.format ? ` (${schema.format})` : ""}`;
}

const content = (of, all) => Object.entries(of || {}).map(([type, one]) => `${type}  ${shape(one.schema, all)}`).join("\n");

function operation(path, verb, one, all) {
  const lines = [];
  if (one.description) lines.push(one.description, "");
  for (const parameter of one.parameters || []) lines.push(`${parameter.in}  ${parameter.name}${parameter.required ? "" : "?"}${parameter.description ? `: ${parameter.description}` : ""}`);
  if (one.requestBody) lines.push("", `takes  ${content(one.requestBody.content, all)}`);
  for (const [status, answer] of Object.entries(one.responses || {})) if (status < "300") lines.push("", `${status}  ${content(answer.content, all)}`);
  const summary = el("summary", "", el("span", "verb", verb.toUpperCase()), el("span", "mono", path), el("span", "muted", one.summary || ""));
  return el("details", "op", summary, el("pre", "", lines.join("\n").trim()));
}

page(async (room) => {
  const address = document.body.dataset.api;
  const described = await api(address);
  const all = described.components?.schemas || {};
  const served = Object.entries(described.paths).flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, one]) => operation(path, verb, one, all)));
  const bar = el("div", "bar", el("h1", "", "REST API"), el("span", "muted", `${described.info.title} ${described.info.version}, ${served.length} operations`), el("div", "sp"), link(address, "openapi.json", "btn"));
  const pane = el("div", "pane", ...served);
  pane.tabIndex = 0;
  room.append(el("section", "list", bar, pane));
});
