"use strict";
// Shows /docs/openapi.json and lets the reader call each operation. Everything is put in as text.

const make = (tag, attributes = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
};
const resolve = (spec, schema) =>
  schema && schema.$ref ? schema.$ref.slice(2).split("/").reduce((at, step) => at[step], spec) : schema || {};

// A schema as a small example: enough to see what goes where.
function example(spec, schema, depth = 0) {
  const found = resolve(spec, schema);
  if (depth > 5) return null;
  if (found.default !== undefined) return found.default;
  if (found.enum) return found.enum[0];
  const choice = (found.anyOf || found.oneOf || []).find((item) => item.type !== "null");
  if (choice) return example(spec, choice, depth + 1);
  const type = Array.isArray(found.type) ? found.type.find((item) => item !== "null") : found.type;
  if (type === "object")
    return Object.fromEntries(
      Object.entries(found.properties || {}).map(([name, item]) => [name, example(spec, item, depth + 1)]),
    );
  if (type === "array") return [example(spec, found.items || found.prefixItems?.[0], depth + 1)];
  return { string: "string", integer: found.minimum ?? 0, number: found.minimum ?? 0, boolean: false }[type] ?? null;
}

function parameterRows(spec, parameters, inputs) {
  const table = make("table");
  for (const parameter of parameters) {
    const input = (inputs[parameter.name] = make("input", { placeholder: parameter.required ? "required" : "" }));
    table.append(make("tr", {},
      make("td", {}, make("code", { textContent: parameter.name }), ` in ${parameter.in}`),
      make("td", {}, input),
      make("td", { textContent: parameter.description || resolve(spec, parameter.schema).description || "" })));
  }
  return table;
}

function bodyEditor(spec, requestBody) {
  const [type, media] = Object.entries(requestBody.content)[0];
  if (type !== "multipart/form-data") {
    const text = make("textarea", { value: JSON.stringify(example(spec, media.schema), null, 2), spellcheck: false });
    return { node: text, read: () => ({ body: text.value, type }) };
  }
  const table = make("table"), inputs = {};
  for (const [name, schema] of Object.entries(resolve(spec, media.schema).properties)) {
    const binary = (schema.items || schema).format === "binary";
    inputs[name] = make("input", { type: binary ? "file" : "text", multiple: Boolean(schema.items) });
    table.append(make("tr", {}, make("td", {}, make("code", { textContent: name })), make("td", {}, inputs[name]),
      make("td", { textContent: schema.description || "" })));
  }
  const read = () => {
    const form = new FormData();
    for (const [name, input] of Object.entries(inputs)) {
      if (input.type === "file") for (const file of input.files) form.append(name, file);
      else if (input.value) form.append(name, input.value);
    }
    return { body: form };
  };
  return { node: table, read };
}

function caller(path, method, operation, inputs, editor) {
  const output = make("pre", { hidden: true });
  const button = make("button", { textContent: "Send", type: "button" });
  button.onclick = async () => {
    const headers = {}, query = new URLSearchParams();
    let address = path;
    for (const parameter of operation.parameters || []) {
      const value = inputs[parameter.name].value;
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(value));
      else if (value !== "") query.append(parameter.name, value);
    }
    for (const [header, id] of [["X-API-Key", "key"], ["X-Admin-Token", "admin"]])
      if (document.getElementById(id).value) headers[header] = document.getElementById(id).value;
    const { body, type } = editor ? editor.read() : {};
    if (type) headers["Content-Type"] = type;
    output.hidden = false;
    try {
      const answer = await fetch(address + (query.size ? `?${query}` : ""), { method, headers, body });
      const text = await answer.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: as it is */ }
      output.textContent = `${answer.status} ${answer.statusText}\n\n${shown}`;
    } catch (error) { output.textContent = String(error); }
  };
  return make("div", {}, button, output);
}

function answers(spec, operation) {
  const table = make("table", {}, make("tr", {}, make("th", { textContent: "status" }), make("th", { textContent: "meaning" })));
  for (const [status, response] of Object.entries(operation.responses))
    table.append(make("tr", {}, make("td", { textContent: status }), make("td", { textContent: response.description })));
  const media = Object.entries(operation.responses).find(([status]) => status < "300")?.[1].content?.["application/json"];
  const shown = media ? make("pre", { textContent: JSON.stringify(example(spec, media.schema), null, 2) }) : "";
  return make("details", {}, make("summary", { textContent: "Answers" }), table, shown);
}

function show(spec, path, method, operation) {
  const locks = Object.keys(operation.security?.[0] || {});
  const box = make("div"), inputs = {};
  if (operation.description) box.append(make("p", { textContent: operation.description }));
  if (operation.parameters) box.append(parameterRows(spec, operation.parameters, inputs));
  const editor = operation.requestBody && bodyEditor(spec, operation.requestBody);
  if (editor) box.append(editor.node);
  box.append(caller(path, method, operation, inputs, editor), answers(spec, operation));
  return make("details", {}, make("summary", {}, make("span", { className: `method ${method}`, textContent: method }),
    make("code", { textContent: path }), ` ${operation.summary || ""} `,
    make("span", { className: "lock", textContent: locks.join(" + ") })), box);
}

fetch("/docs/openapi.json").then((answer) => answer.json()).then((spec) => {
  document.getElementById("title").textContent = `${spec.info.title} ${spec.info.version}`;
  document.getElementById("about").textContent = spec.info.description || "";
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths))
    for (const [method, operation] of Object.entries(item)) {
      const tag = operation.tags?.[0] || "other";
      groups.set(tag, [...(groups.get(tag) || []), show(spec, path, method.toUpperCase(), operation)]);
    }
  const main = document.getElementById("operations");
  for (const [tag, nodes] of groups) main.append(make("h2", { textContent: tag }), ...nodes);
});
