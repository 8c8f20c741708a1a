import { EventEmitter } from 'node:events';
import { no } from './values.ts';

export interface StoredMail {
  readonly uid: number;
  readonly bytes: Buffer;
  /** Milliseconds since the epoch (INTERNALDATE). */
  readonly receivedAt: number;
  readonly flags: Set<string>;
}

/** All mail of one user: what a laptop's memory can spare. */
const maxBytes = 512 * 1024 * 1024;
const maxMails = 20_000;
const maxFolders = 100;

/** A folder. Mail stands in the order of its UIDs. Emits `changed` when mail came or went. */
export class Folder extends EventEmitter<{ changed: [] }> {
  readonly name: string;
  /** Such as `\Trash` (RFC 6154). */
  readonly specialUse: string | undefined;
  readonly uidValidity: number;
  readonly mails: StoredMail[] = [];
  #uidNext = 1;

  constructor(name: string, uidValidity: number, specialUse?: string) {
    super();
    this.name = name;
    this.uidValidity = uidValidity;
    this.specialUse = specialUse;
    // One listener for every session that has it selected.
    this.setMaxListeners(0);
  }

  get uidNext(): number {
    return this.#uidNext;
  }

  append(bytes: Buffer, flags: Iterable<string>, receivedAt: number): StoredMail {
    const mail = { uid: this.#uidNext++, bytes, receivedAt, flags: new Set(flags) };
    this.mails.push(mail);
    this.emit('changed');
    return mail;
  }

  remove(uids: ReadonlySet<number>): void {
    const kept = this.mails.filter((mail) => !uids.has(mail.uid));
    if (kept.length === this.mails.length) return;
    this.mails.splice(0, this.mails.length, ...kept);
    this.emit('changed');
  }
}

/** The folders of one user. */
export class Mailbox {
  readonly folders = new Map<string, Folder>();
  // Memory is empty at every start, so every start has UIDs of its own (RFC 3501 section 2.3.1.1).
  #uidValidity = Math.floor(Date.now() / 1000);

  constructor() {
    this.create('INBOX');
    this.create('Archive', '\\Archive');
    this.create('Drafts', '\\Drafts');
    this.create('Junk', '\\Junk');
    this.create('Sent', '\\Sent');
    this.create('Trash', '\\Trash');
  }

  create(name: string, specialUse?: string): Folder {
    if (this.folders.has(folderKey(name))) throw no('[ALREADYEXISTS] The folder is there already');
    if (this.folders.size >= maxFolders) throw no('[OVERQUOTA] Too many folders');
    const folder = new Folder(folderKey(name), this.#uidValidity++, specialUse);
    this.folders.set(folder.name, folder);
    return folder;
  }

  find(name: string): Folder | undefined {
    return this.folders.get(folderKey(name));
  }

  /** Throws NO [OVERQUOTA] unless so much more fits. */
  checkRoom(bytes: number, mails = 1): void {
    let heldBytes = bytes;
    let heldMails = mails;
    for (const folder of this.folders.values()) {
      heldMails += folder.mails.length;
      for (const mail of folder.mails) heldBytes += mail.bytes.length;
    }
    if (heldBytes > maxBytes || heldMails > maxMails) throw no('[OVERQUOTA] The mailbox is full');
  }
}

/** Only INBOX is compared without letter case (RFC 3501 section 5.1). */
function folderKey(name: string): string {
  return name.toUpperCase() === 'INBOX' ? 'INBOX' : name;
}
