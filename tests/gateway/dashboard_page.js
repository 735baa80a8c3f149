// Runs the dashboard's script in a page of its own making, and says in JSON what it did.
"use strict";
const fs = require("fs");
const vm = require("vm");

class Element {
  constructor(kind) {
    Object.assign(this, { kind, children: [], hidden: false, listeners: {}, textContent: "" });
    this.classList = { add() {} };
  }
  append(...children) {
    this.children.push(...children);
  }
  replaceChildren(...children) {
    this.children = children;
  }
  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }
  focus() {}
}

const [script, numbers] = process.argv.slice(2);
const elements = {};
const answers = [
  { status: 401, ok: false },
  { status: 200, ok: true, json: async () => JSON.parse(numbers) },
];
const asked = [];
const page = {
  document: {
    getElementById: (id) => (elements[id] ??= new Element(id)),
    createElement: (kind) => new Element(kind),
  },
  fetch: async (address, options) => {
    asked.push([address, options.headers]);
    return answers.shift();
  },
  setTimeout() {},
};
const settled = () => new Promise((resolve) => setImmediate(resolve));
const rows = (table) => table.children.map((row) => row.children.map((c) => c.textContent));

(async () => {
  vm.runInNewContext(fs.readFileSync(script, "utf8"), page);
  await settled();
  const closed = [elements.state.textContent, elements.door.hidden, elements.numbers.hidden];
  elements.key.value = " adm-typed ";
  elements.door.listeners.submit({ preventDefault() {} });
  await settled();
  const open = [elements.door.hidden, elements.numbers.hidden, elements.key.value];
  const shown = { providers: rows(elements.providers), models: rows(elements.models) };
  console.log(JSON.stringify({ closed, open, asked, ...shown }));
})();
