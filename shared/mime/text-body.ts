import type { Readable } from 'node:stream';
import { type CharsetDecoder, charsetDecoder } from './charsets.ts';
import { EnrichedText } from './enriched-text.ts';
import { FlowedText } from './flowed-text.ts';
import { HtmlReferences } from './html-references.ts';
import type { BodyKind, Defects } from './mail.ts';
import type { PartHeader } from './part-header.ts';
import { isEnriched, isNamedRoot } from './part-role.ts';
import { PlainLines } from './plain-lines.ts';
import { SinkStream } from './sink-stream.ts';
import type { PartPlace } from './splitter.ts';
import { cutUtf8 } from './utf8-cut.ts';

/** A part that a later one stands for, as it was before its charset was decoded. */
export interface Superseded {
  readonly header: PartHeader;
  readonly bytes: Buffer;
}

/** One part of the body. */
interface Segment {
  readonly header: PartHeader;
  readonly place: PartPlace;
  readonly chunks: Buffer[];
  size: number;
  /** Its bytes as they came, while it may still be superseded. */
  raw: Buffer[];
  rawSize: number;
  /** It has something but white space. */
  filled: boolean;
}

/** How much of a body is kept, and where the rest goes. */
export interface TextBodyOptions {
  readonly kind: BodyKind;
  /** Bytes of UTF-8 that are kept. */
  readonly limit: number;
  readonly defects: Defects;
  readonly long: (content: Readable) => Promise<void>;
}

/**
 * The text or the html of a mail, from one part or several. Holds it up to the inline limit; above, all of it goes to
 * `long` and only the beginning is kept. Of alternatives the last that is not empty counts (RFC 2046 section 5.1.4).
 */
export class TextBody {
  readonly references = new HtmlReferences();
  readonly #options: TextBodyOptions;
  readonly #lines: PlainLines;
  #segments: Segment[] = [];
  #current: Segment | undefined;
  /** Parts that the one under way stands for, unless it turns out to be empty. */
  #replaced: Segment[] = [];
  #kept: Buffer | undefined;
  #begun = false;
  #delivery: SinkStream | undefined;
  #decoder: CharsetDecoder | undefined;
  /** Makes a plain text of one in another form. */
  #plain: FlowedText | EnrichedText | undefined;

  constructor(options: TextBodyOptions) {
    this.#options = options;
    this.#lines = new PlainLines(() => void options.defects.add('nul-bytes'));
  }

  get begun(): boolean {
    return this.#begun;
  }

  get truncated(): boolean {
    return this.#kept !== undefined;
  }

  /**
   * Whether a part can be added. Not once the body went to `long`; nor text that stands in a multipart/mixed which is
   * itself an alternative to a text: it is a piece of a body of the other kind.
   */
  takes(place: PartPlace): boolean {
    if (this.truncated) return false;
    if (!this.#segments.some((segment) => standsFor(place, segment.place))) return true;
    const alternative = place.around.findIndex(({ subtype }) => subtype === 'alternative');
    return !place.around.slice(alternative + 1).some(({ subtype }) => subtype === 'mixed');
  }

  /** Begins a part. A second one goes below the first, as mail clients show it, or stands for it. */
  begin(header: PartHeader, place: PartPlace): void {
    const { kind, defects } = this.#options;
    this.#decoder = charsetDecoder(header.charset, defects, { html: kind === 'html' });
    this.#plain = kind === 'text' ? plainFormOf(header) : undefined;
    const rootId = isNamedRoot(header, place) ? place.around.at(-1)?.id : undefined;
    this.#replaced = this.#segments.filter((segment) => standsFor(place, segment.place, rootId));
    this.#current = { header, place, chunks: [], size: 0, raw: [], rawSize: 0, filled: false };
    this.#begun = true;
  }

  write(bytes: Buffer): Promise<void> | undefined {
    const current = this.#current;
    if (current && !this.#delivery) this.#keepRaw(current, bytes);
    const text = this.#decoder?.write(bytes) ?? '';
    return this.#append(this.#plain ? this.#plain.write(text) : text);
  }

  /** A shift that shifts nothing makes bytes without text: what is kept of them is bounded as well. */
  #keepRaw(segment: Segment, bytes: Buffer): void {
    const { limit } = this.#options;
    if (segment.place.around.length === 0 || segment.rawSize > limit) return;
    segment.rawSize += bytes.length;
    const total = this.#segments.reduce((sum, each) => sum + (each.raw.length === 0 ? 0 : each.rawSize), 0);
    if (total + segment.rawSize > 2 * limit) {
      segment.raw = [];
      segment.rawSize = Number.POSITIVE_INFINITY;
    } else {
      segment.raw.push(Buffer.from(bytes));
    }
  }

  /** Ends the part. Answers the parts that are no longer of the body. */
  async endPart(): Promise<readonly Superseded[]> {
    const text = this.#decoder?.end() ?? '';
    await this.#append(this.#plain ? this.#plain.write(text) + this.#plain.end() : text);
    this.#decoder = undefined;
    this.#plain = undefined;
    await this.#delivery?.end();
    this.#delivery = undefined;
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return [];
    const replaced = this.#replaced;
    this.#replaced = [];
    if (replaced.length > 0 && !current.filled) return [];
    if (!this.truncated) this.#segments = [...this.#segments.filter((segment) => !replaced.includes(segment)), current];
    return (
      replaced
        // One that was too large to be kept as it came is in the mail alone.
        .filter(({ filled, raw }) => filled && raw.length > 0)
        .map(({ header, raw }) => ({ header, bytes: Buffer.concat(raw) }))
    );
  }

  /** Cuts a body that is being handed over. */
  abort(reason: unknown): void {
    this.#delivery?.abort(reason);
  }

  /** What is kept: all of it, or its beginning, cut between two characters. Undefined where no part was a body. */
  get value(): string | undefined {
    if (!this.#begun) return undefined;
    return cutUtf8(this.#kept ?? joined(this.#segments), this.#options.limit).toString('utf8');
  }

  #append(text: string): Promise<void> | undefined {
    const current = this.#current;
    if (text === '' || current === undefined) return undefined;
    if (this.#options.kind === 'html') this.references.write(text);
    const bytes = this.#lines.clean(Buffer.from(text, 'utf8'));
    if (this.#delivery) return this.#delivery.write(bytes);
    if (!current.filled && /\S/.test(text)) current.filled = true;
    current.chunks.push(bytes);
    current.size += bytes.length;
    const others = this.#segments.filter((segment) => !this.#replaced.includes(segment));
    const size = others.reduce((sum, segment) => sum + segment.size, current.size);
    return size > this.#options.limit ? this.#overflow([...others, current]) : undefined;
  }

  async #overflow(segments: readonly Segment[]): Promise<void> {
    const whole = joined(segments);
    this.#kept = Buffer.from(cutUtf8(whole, this.#options.limit));
    this.#segments = [];
    for (const segment of segments) {
      segment.chunks.length = 0;
      segment.raw = [];
    }
    this.#delivery = new SinkStream(this.#options.long);
    await this.#delivery.write(whole);
  }
}

function plainFormOf(header: PartHeader): FlowedText | EnrichedText | undefined {
  if (isEnriched(header)) return new EnrichedText();
  return header.flowed ? new FlowedText(header.delsp === true) : undefined;
}

/** One part below the other, each on lines of its own. */
function joined(segments: readonly Segment[]): Buffer {
  const chunks: Buffer[] = [];
  const filled = segments.filter(({ size }) => size > 0);
  for (const [index, segment] of filled.entries()) {
    if (index > 0 && chunks.at(-1)?.at(-1) !== 0x0a) chunks.push(Buffer.from('\n'));
    chunks.push(...segment.chunks);
  }
  return Buffer.concat(chunks);
}

/**
 * Whether a part at `later` stands for one at `earlier`: they are in two branches of the same alternative, or of the
 * multipart/related with the number `rootId`.
 */
function standsFor(later: PartPlace, earlier: PartPlace, rootId?: number): boolean {
  return later.around.some(({ id, branch, subtype }) => {
    if (subtype !== 'alternative' && id !== rootId) return false;
    return earlier.around.some((other) => other.id === id && other.branch !== branch);
  });
}
