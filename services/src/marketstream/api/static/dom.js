// Write to the document only if something has changed, to save the browser work.

/** Set the text of an element, which must have no other children. */
export function write(element, text) {
  const node = element.firstChild;
  if (!node) element.append(text);
  else if (node.data !== text) node.data = text; // a new node would cost another layout
}

/** Set the class of an element. */
export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}
