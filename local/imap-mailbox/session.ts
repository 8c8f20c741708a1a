import type { Duplex } from 'node:stream';
import type { Folder, Mailbox, StoredMail } from './mailbox.ts';
import { numberSet } from './number-set.ts';
import { bad, no } from './values.ts';

/** A mail as the session sees it; sequence numbers count from 1. */
export interface SeenMail {
  readonly sequence: number;
  readonly mail: StoredMail;
}

/** What one connection knows: who is signed in, which folder is open, and which mails it knows of. */
export class Session {
  mailbox: Mailbox | undefined;
  #folder: Folder | undefined;
  #readOnly = false;
  /** By sequence number. Mail that went stays here until the client knows. */
  #view: StoredMail[] = [];
  #stream: Duplex;

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  get stream(): Duplex {
    return this.#stream;
  }

  /** After STARTTLS. */
  set stream(stream: Duplex) {
    this.#stream = stream;
  }

  /** Sends one response; waits while the client does not read. */
  async send(...parts: readonly (string | Buffer)[]): Promise<void> {
    const stream = this.#stream;
    let flowing = true;
    for (const part of [...parts, '\r\n']) {
      flowing = typeof part === 'string' ? stream.write(part, 'latin1') : stream.write(part);
    }
    if (flowing || stream.destroyed) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        stream.off('drain', done).off('close', done);
        resolve();
      };
      stream.on('drain', done).on('close', done);
    });
  }

  signedIn(): Mailbox {
    if (!this.mailbox) throw bad('Sign in first');
    return this.mailbox;
  }

  folder(name: string): Folder {
    const folder = this.signedIn().find(name);
    if (!folder) throw no('[NONEXISTENT] There is no such folder');
    return folder;
  }

  select(folder: Folder, readOnly: boolean): void {
    this.#folder = folder;
    this.#readOnly = readOnly;
    this.#view = [...folder.mails];
  }

  unselect(): void {
    this.#folder = undefined;
    this.#view = [];
  }

  selected(): Folder {
    if (!this.#folder) throw bad('Select a folder first');
    return this.#folder;
  }

  writable(): Folder {
    const folder = this.selected();
    if (this.#readOnly) throw no('[READ-ONLY] The folder is open for reading only');
    return folder;
  }

  get readOnly(): boolean {
    return this.#readOnly;
  }

  get highestSequence(): number {
    return this.#view.length;
  }

  get highestUid(): number {
    return this.#view.at(-1)?.uid ?? 0;
  }

  /** The mails of a set. Those that went meanwhile are left out. */
  pick(set: string, byUid: boolean): readonly SeenMail[] {
    const has = numberSet(set, byUid ? this.highestUid : this.highestSequence);
    return this.seen().filter(({ sequence, mail }) => has(byUid ? mail.uid : sequence));
  }

  seen(): readonly SeenMail[] {
    const present = new Set(this.selected().mails);
    return this.#view.map((mail, index) => ({ sequence: index + 1, mail })).filter(({ mail }) => present.has(mail));
  }

  /**
   * Reports what came and went. EXPUNGE must wait while the client may still use sequence numbers (RFC 3501 section
   * 7.4.1), and new mail with it, so that the view stays in step.
   */
  async announceChanges(): Promise<void> {
    if (!this.#folder) return;
    const present = new Set(this.#folder.mails);
    for (let index = this.#view.length - 1; index >= 0; index--) {
      const mail = this.#view[index];
      if (!mail || present.has(mail)) continue;
      this.#view.splice(index, 1);
      await this.send(`* ${index + 1} EXPUNGE`);
    }
    const known = this.#view.length;
    if (this.#folder && this.#folder.mails.length > known) {
      this.#view = [...this.#folder.mails];
      await this.send(`* ${this.#view.length} EXISTS`);
    }
  }
}
