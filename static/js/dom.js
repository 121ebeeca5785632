// The only place that makes elements. Data reaches the page as text and as attribute values, never as markup.
// What must stay true: no innerHTML anywhere in this folder; a node is written to only when its value changed, so that
// live updates move neither focus nor selection nor the screen reader.

/** The element with this id; the skeleton in index.html is known to have it. */
export const byId = (id) => document.getElementById(id);

/** An element with a class, and children that are nodes or text. */
export function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An SVG element with attributes. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Sets a node's text. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute, or removes it for null. */
export function setAttr(node, name, value) {
  if (value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, String(value));
  }
}

/** Shows or hides a node. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/**
 * Makes `container`'s children match `items`, keeping the nodes of items that stay.
 * `key(item, index)` names an item, `make(item)` builds `{node, update}`, `update(item)` refreshes it.
 */
export function reconcile(container, items, key, make) {
  const known = container.keyed ?? (container.keyed = new Map());
  const wanted = new Map();
  let place = container.firstChild;
  items.forEach((item, index) => {
    const name = key(item, index);
    if (wanted.has(name)) return;
    const part = known.get(name) ?? make(item);
    wanted.set(name, part);
    part.update?.(item);
    if (part.node === place) place = place.nextSibling;
    else container.insertBefore(part.node, place);
  });
  for (const [name, part] of known) if (!wanted.has(name)) part.node.remove();
  container.keyed = wanted;
}
