// Shows HTML and changes it in place. Children with a data-key keep their element when they move.
const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null);

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

function morphAttributes(from, to) {
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    const kept = name === "open" && from.nodeName === "DETAILS";
    if (!to.hasAttribute(name) && !kept) from.removeAttribute(name);
  }
}

function morphNode(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  morphAttributes(from, to);
  morphChildren(from, to);
}

function morphChildren(from, to) {
  const keyed = new Map();
  for (const child of from.children) {
    const key = keyOf(child);
    if (key !== null) keyed.set(key, child);
  }
  let cursor = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const key = keyOf(wanted);
    const known = key !== null ? keyed.get(key) : undefined;
    if (known && alike(known, wanted)) {
      if (known === cursor) cursor = cursor.nextSibling;
      else from.insertBefore(known, cursor);
      morphNode(known, wanted);
    } else if (cursor && key === null && keyOf(cursor) === null && alike(cursor, wanted)) {
      const next = cursor.nextSibling;
      morphNode(cursor, wanted);
      cursor = next;
    } else {
      if (key !== null && wanted.classList) wanted.classList.toggle("arrived", keyed.size > 0);
      from.insertBefore(wanted, cursor);
    }
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
}

export default {
  template: `<div @click="click" @pointerenter="enter" @pointerleave="leave"></div>`,
  props: { html: String, waits: Boolean },
  mounted() {
    this.render();
  },
  watch: {
    html() {
      this.render();
    },
  },
  methods: {
    render() {
      if (this.pointed) return;
      const template = document.createElement("template");
      template.innerHTML = this.html;
      morphChildren(this.$el, template.content);
    },
    click(event) {
      const picked = event.target.closest("[data-pick]");
      if (picked) this.$emit("pick", picked.getAttribute("data-pick"));
    },
    enter(event) {
      this.pointed = this.waits && event.pointerType === "mouse";
      this.$el.classList.toggle("waiting", this.pointed);
    },
    leave() {
      this.pointed = false;
      this.$el.classList.remove("waiting");
      this.render();
    },
  },
};
