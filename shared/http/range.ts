/** Bytes of a whole that a caller asks for; `whole`: all of them, as without a Range. */
export type AskedRange =
  | { readonly kind: 'whole' | 'outside' }
  | { readonly kind: 'part'; readonly from: number; readonly to: number };

/**
 * Reads `Range` (RFC 9110 section 14.2) of a GET: one range of bytes. Several, other units and what cannot be read are
 * passed over, as the section allows; so is a range of another version (`If-Range` with another tag, or with a date,
 * since a stored mail has none). `outside`: nothing of it is there, which is a 416.
 */
export function readRange(headers: { get(name: string): string | null }, size: number, etag: string): AskedRange {
  const found = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(headers.get('range')?.trim() ?? '');
  const condition = headers.get('if-range');
  if (!found || (condition !== null && condition.trim() !== etag)) return { kind: 'whole' };
  const [, first = '', last = ''] = found;
  if (first === '') {
    if (last === '') return { kind: 'whole' };
    // The last so many bytes.
    const count = Math.min(Number(last), size);
    return count === 0 ? { kind: 'outside' } : { kind: 'part', from: size - count, to: size - 1 };
  }
  const from = Number(first);
  const to = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < from) return { kind: 'whole' };
  return from >= size ? { kind: 'outside' } : { kind: 'part', from, to };
}
