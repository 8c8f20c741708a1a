import { randomBytes } from 'node:crypto';

/**
 * Ids as Outlook makes them: long, of the alphabet of base64url with `=` at the end, and distinguished by letter case:
 * every second one differs from the one before in the case of a single letter.
 */
export class IdMaker {
  readonly #prefix: string;
  readonly #bytes: number;
  #twin: string | undefined;

  constructor(kind: keyof typeof forms) {
    [this.#prefix, this.#bytes] = forms[kind];
  }

  next(): string {
    const twin = this.#twin;
    if (twin !== undefined) {
      this.#twin = undefined;
      return twin;
    }
    for (;;) {
      const made = `${this.#prefix}${randomBytes(this.#bytes).toString('base64url')}AAA=`;
      const at = letterAt(made, this.#prefix.length);
      if (at === undefined) continue;
      const letter = made.charAt(at);
      const swapped = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase();
      this.#twin = made.slice(0, at) + swapped + made.slice(at + 1);
      return made;
    }
  }
}

/** Beginning and random bytes of each kind of id. */
const forms = {
  mutable: ['AAMkAD', 90],
  immutable: ['AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A', 24],
  folder: ['AAMkADgAuAAAAAAAi', 42],
} as const satisfies Record<string, readonly [string, number]>;

function letterAt(text: string, from: number): number | undefined {
  for (let at = from; at < text.length - 4; at++) {
    if (/[a-z]/i.test(text.charAt(at))) return at;
  }
  return undefined;
}

/** Whether a text has the form of an Outlook id at all; one that has not is answered with ErrorInvalidIdMalformed. */
export function isWellFormedId(text: string): boolean {
  return /^[A-Za-z0-9_-]{20,}={0,2}$/.test(text);
}

/** The tail of attachment ids: the message's id stands before it. */
export function makeAttachmentTail(): string {
  return `ABEgAQ${randomBytes(12).toString('base64url')}`;
}
