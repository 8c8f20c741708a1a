/** An instant for `<input type="datetime-local">`: in the reader's own zone, to the minute. Empty for what is no instant. */
export function toLocalInput(instant: string | undefined): string {
  const at = new Date(instant ?? '');
  if (Number.isNaN(at.getTime())) return '';
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** What such a field has, as an instant in UTC; empty where it has none. */
export function fromLocalInput(text: string): string {
  // Without a zone it is the reader's own (ECMA-262, "Date Time String Format").
  const at = new Date(text);
  return text === '' || Number.isNaN(at.getTime()) ? '' : at.toISOString();
}
