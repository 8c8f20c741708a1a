/** Escapes a text for an OData string literal. */
export function odataText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The first key after every key that begins with `prefix`. */
export function prefixEnd(prefix: string): string {
  if (prefix === '') {
    return '\uffff';
  }
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}
