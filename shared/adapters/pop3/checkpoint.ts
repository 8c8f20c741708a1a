import { createHash } from 'node:crypto';
import type { Checkpoint } from '../store.ts';
import type { Entry } from './maildrop.ts';

/** Characters of a hash: 72 bits. */
const HASH = 12;
/** Mails at the end of the listing that are remembered one by one: there new mail arrives, and there it is deleted. */
const TAIL = 64;
/** Mails in a chunk on average; more where there would be more than `CHUNKS` of them. */
const CHUNK = 32;
const CHUNKS = 1_024;
/** Ids remembered as they are, to notice when all of them have changed. */
const SAMPLE = 8;

const hash = (...texts: readonly string[]): string =>
  createHash('sha256').update(texts.join('\n')).digest('base64url').slice(0, HASH);

/** 32-bit FNV-1a with a last stir: says where a chunk ends, and need withstand nobody. */
function spread(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) >>> 8;
}

interface Chunk {
  readonly hash: string;
  readonly from: number;
  readonly to: number;
}

/**
 * A listing cut where its own ids say so, so that what arrives or goes changes the chunk it is in, and no other. RFC 1939
 * promises no order; where the server keeps none, chunks match less often, and mails are merely asked of the ledger again.
 */
function chunksOf(entries: readonly Entry[]): readonly Chunk[] {
  let size = CHUNK;
  while (entries.length / size > CHUNKS) size *= 2;
  const chunks: Chunk[] = [];
  let from = 0;
  for (const [at, { uidl }] of entries.entries()) {
    if (at + 1 < entries.length && spread(uidl) % size !== 0) continue;
    const ids = entries.slice(from, at + 1).map((entry) => entry.uidl);
    // Without ids a chunk says nothing.
    if (!ids.includes('')) chunks.push({ hash: hash(...ids), from, to: at + 1 });
    from = at + 1;
  }
  // Ids made up so that each ends a chunk: then the tail must do.
  return chunks.length > CHUNKS * 4 ? [] : chunks;
}

/** Which mails of a listing have been seen to, as a checkpoint that stays small however many they are. */
export class Progress {
  readonly #entries: readonly Entry[];
  readonly #chunks: readonly Chunk[];
  readonly #seen: boolean[];
  readonly #once: (uidl: string) => boolean;
  /** Mails that the checkpoint does not know, in the order of the listing. */
  readonly todo: readonly Entry[];

  constructor(entries: readonly Entry[], once: (uidl: string) => boolean, checkpoint: Checkpoint | undefined) {
    this.#entries = entries;
    this.#once = once;
    this.#chunks = chunksOf(entries);
    const known = new Set(pieces(checkpoint?.chunks));
    const tail = new Set(pieces(checkpoint?.tail));
    this.#seen = entries.map(({ uidl }) => tail.size > 0 && once(uidl) && tail.has(hash(uidl)));
    for (const chunk of this.#chunks) if (known.has(chunk.hash)) this.#seen.fill(true, chunk.from, chunk.to);
    this.todo = entries.filter((_, at) => !this.#seen[at]);
    this.#place = new Map(entries.map(({ number }, at) => [number, at]));
  }

  readonly #place: ReadonlyMap<number, number>;

  pass(entries: readonly Entry[]): void {
    for (const { number } of entries) {
      const at = this.#place.get(number);
      if (at !== undefined) this.#seen[at] = true;
    }
  }

  checkpoint(): Checkpoint {
    const whole = this.#chunks.filter(({ from, to }) => this.#seen.slice(from, to).every(Boolean));
    const first = Math.max(0, this.#entries.length - TAIL);
    const tail = this.#entries.slice(first).filter(({ uidl }, at) => this.#seen[first + at] && this.#once(uidl));
    return {
      chunks: whole.map((chunk) => chunk.hash).join(''),
      tail: tail.map(({ uidl }) => hash(uidl)).join(''),
      sample: this.#sample().join('\n'),
    };
  }

  #sample(): readonly string[] {
    const seen = this.#entries.filter(({ uidl }, at) => this.#seen[at] && this.#once(uidl));
    const step = Math.max(1, seen.length / SAMPLE);
    return Array.from({ length: Math.min(SAMPLE, seen.length) }, (_, n) => seen[Math.floor(n * step)]?.uidl ?? '');
  }
}

function pieces(text: unknown): string[] {
  return typeof text === 'string' ? (text.match(new RegExp(`.{${HASH}}`, 'g')) ?? []) : [];
}

/** The ids that a checkpoint remembers as they were. */
export function sampleOf(checkpoint: Checkpoint): readonly string[] {
  const { sample } = checkpoint;
  return typeof sample === 'string' && sample !== '' ? sample.split('\n').slice(0, SAMPLE) : [];
}
