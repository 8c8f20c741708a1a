/** Characters of a Content-ID that are looked for, and how many of them are kept together. */
const MAX_ID = 998;
const MAX_KEPT = 256 * 1024;

/** Ends of a `cid:` URL in an attribute or a style. */
const ends = /["'\s<>()]/;

/** Gathers the Content-IDs that HTML refers to (`cid:`, RFC 2392), chunk by chunk. */
export class HtmlReferences {
  readonly #ids = new Set<string>();
  #kept = 0;
  #carry = '';

  write(text: string): void {
    const all = this.#carry + text;
    const lower = all.toLowerCase();
    let at = lower.indexOf('cid:');
    let open = -1;
    while (at >= 0) {
      const url = all.slice(at + 4, at + 4 + MAX_ID);
      const end = url.search(ends);
      if (end < 0 && url.length < MAX_ID) open = at;
      else if (end > 0) this.#add(url.slice(0, end));
      at = lower.indexOf('cid:', at + 4);
    }
    // The last reference may go on, or have begun with its first letters.
    this.#carry = open >= 0 ? all.slice(open) : all.slice(-3);
  }

  /** Whether the HTML refers to a Content-ID, without its angle brackets. */
  has(contentId: string): boolean {
    if (this.#carry.toLowerCase().startsWith('cid:')) this.#add(this.#carry.slice(4));
    return this.#ids.has(contentId);
  }

  #add(url: string): void {
    if (this.#kept > MAX_KEPT) return;
    this.#kept += url.length;
    const id = url.replaceAll('&amp;', '&');
    this.#ids.add(id);
    try {
      this.#ids.add(decodeURIComponent(id));
    } catch {
      // No percent-escapes, but percent signs.
    }
  }
}
