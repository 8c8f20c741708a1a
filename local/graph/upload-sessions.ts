import { randomBytes } from 'node:crypto';
import { storeAttachment } from './attachment.ts';
import { attachmentId } from './attachment-json.ts';
import { GraphRefusal, itemNotFound } from './graph-error.ts';
import type { Item } from './item.ts';
import type { Mailbox } from './mailbox.ts';
import type { Reply } from './reply.ts';

/** Upload sessions of large attachments ("Attach large files to Outlook messages or events"). Kept in memory. */

/** Bytes of one range. */
export const maxRange = 4 * 1024 * 1024;
const maxSessions = 200;
const lifetimeMs = 60 * 60_000;

export interface NewSession {
  readonly mailbox: Mailbox;
  readonly item: Item;
  readonly name: string;
  readonly size: number;
  readonly contentType: string | undefined;
  readonly contentId: string | undefined;
  readonly isInline: boolean;
}

interface Session extends NewSession {
  readonly expiresAt: number;
  readonly chunks: Buffer[];
  received: number;
}

export interface UploadRange {
  readonly contentRange: string | undefined;
  readonly contentType: string | undefined;
  readonly bytes: Buffer;
}

/** Upload sessions for large attachments: open for a time, filled in order, range by range. */
export class UploadSessions {
  readonly origin: string;
  readonly #now: () => number;
  readonly #lifetimeMs: number;
  /** By the token in the address. */
  readonly #sessions = new Map<string, Session>();

  constructor(options: {
    readonly origin: string;
    readonly now: () => number;
    readonly lifetimeMs?: number | undefined;
  }) {
    this.origin = options.origin;
    this.#now = options.now;
    this.#lifetimeMs = options.lifetimeMs ?? lifetimeMs;
  }

  open(wanted: NewSession): { readonly url: string; readonly expiresAt: number } {
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size < maxSessions) break;
      this.#sessions.delete(oldest);
    }
    const token = randomBytes(48).toString('base64url');
    // Whole seconds, as the answer has it.
    const expiresAt = Math.floor((this.#now() + this.#lifetimeMs) / 1000) * 1000;
    this.#sessions.set(token, { ...wanted, expiresAt, chunks: [], received: 0 });
    const path = `Users('${wanted.mailbox.userId}')/Messages('${encodeURIComponent(wanted.item.mutableId)}')`;
    return {
      url: `${this.origin}/api/v2.0/${path}/AttachmentSessions('${token.slice(0, 16)}')?authtoken=${token}`,
      expiresAt,
    };
  }

  /** The session of a pre-authenticated address; undefined where there is none. */
  user(token: string): string | undefined {
    return this.#sessions.get(token)?.mailbox.userPrincipalName;
  }

  cancel(token: string): void {
    this.#live(token);
    this.#sessions.delete(token);
  }

  /** Takes the next range; the last one makes the attachment. Ranges out of order are refused. */
  put(token: string, range: UploadRange): Reply {
    const session = this.#live(token);
    if (range.contentType !== 'application/octet-stream')
      throw badRange('Content-Type must be application/octet-stream.');
    const match = /^bytes (\d{1,12})-(\d{1,12})\/(\d{1,12})$/.exec(range.contentRange ?? '');
    if (!match) throw badRange('Content-Range must be bytes {start}-{end}/{total}.');
    const [start, end, total] = [Number(match[1]), Number(match[2]), Number(match[3])];
    if (total !== session.size || end >= total || end - start + 1 !== range.bytes.length) {
      throw badRange('Content-Range does not fit the bytes, or the size of the session.');
    }
    if (start !== session.received) {
      // Which code Outlook gives here is not documented.
      throw new GraphRefusal(416, 'ErrorInvalidRange', `The next byte that is expected is ${session.received}.`);
    }
    session.chunks.push(range.bytes);
    session.received += range.bytes.length;
    if (session.received < session.size) {
      const ExpirationDateTime = new Date(session.expiresAt).toISOString();
      return { status: 200, json: { ExpirationDateTime, nextExpectedRanges: [String(session.received)] } };
    }
    this.#sessions.delete(token);
    return this.#attach(session);
  }

  #attach(session: Session): Reply {
    const { mailbox, item, chunks } = session;
    const stored = storeAttachment({ ...session, chunks });
    item.content.add(stored);
    mailbox.changed(item, ['hasAttachments']);
    const path = `Users('${mailbox.userId}')/Messages('${encodeURIComponent(item.mutableId)}')`;
    const id = encodeURIComponent(attachmentId(item, stored, false));
    return { status: 201, headers: { location: `${this.origin}/api/v2.0/${path}/Attachments('${id}')` } };
  }

  #live(token: string): Session {
    const session = this.#sessions.get(token);
    if (!session) throw itemNotFound();
    if (this.#now() >= session.expiresAt) {
      this.#sessions.delete(token);
      throw new GraphRefusal(401, 'UnknownError', 'The token of the upload address has expired.');
    }
    if (session.mailbox.peek(session.item.immutableId) !== session.item || !session.item.isDraft) throw itemNotFound();
    return session;
  }
}

function badRange(message: string): GraphRefusal {
  return new GraphRefusal(400, 'ErrorInvalidRequest', message);
}
