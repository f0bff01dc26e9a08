// Writing to the document without work for the browser where nothing has changed.

/** Makes `text` the whole text of an element, which has no other children. */
export function write(element, text) {
  const node = element.firstChild;
  if (!node) element.append(text);
  else if (node.data !== text) node.data = text; // changes the node: a new one would cost a layout of its own
}

/** Makes `name` the class of an element. */
export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}
