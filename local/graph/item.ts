import { createHash } from 'node:crypto';
import { ChangeLog } from './change-log.ts';
import type { Content } from './content.ts';
import { inReplyToId, messageIdId, referencesId, sizeIds } from './extended-property.ts';
import { IdMaker } from './ids.ts';

const ids = new IdMaker('folder');

/** How a broken item fails. `unlessAlone`: every page with it, except one of a single item. */
export interface Corruption {
  readonly list?: 'unlessAlone' | 'always';
  readonly delta?: 'unlessAlone' | 'always';
  readonly value?: boolean;
}

export interface ItemInit {
  readonly immutableId: string;
  readonly mutableId: string;
  readonly folder: Folder;
  readonly content: Content;
  readonly isDraft: boolean;
  readonly isRead: boolean;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly createdAt: number;
}

export interface FollowupFlag {
  readonly flagStatus: 'notFlagged' | 'complete' | 'flagged';
}

/** A message in a mailbox. Only the mailbox moves it or says that it changed. */
export class Item {
  readonly immutableId: string;
  mutableId: string;
  folder: Folder;
  readonly content: Content;
  isDraft: boolean;
  isRead: boolean;
  receivedAt: number;
  readonly createdAt: number;
  modifiedAt: number;
  /** Counts the changes; the change key is made of it. */
  version = 1;
  categories: readonly string[] = [];
  flag: Readonly<Record<string, unknown>> & FollowupFlag = { flagStatus: 'notFlagged' };
  inferenceClassification: 'focused' | 'other' = 'focused';
  /** By id in Exchange's form. */
  readonly extended = new Map<string, string>();
  readonly extendedLists = new Map<string, readonly string[]>();
  corruption: Corruption = {};
  /** Instead of what `content` writes: Exchange rebuilds MIME, and it may come out different. */
  rebuilt: Buffer | undefined;

  constructor(init: ItemInit) {
    this.immutableId = init.immutableId;
    this.mutableId = init.mutableId;
    this.folder = init.folder;
    this.content = init.content;
    this.isDraft = init.isDraft;
    this.isRead = init.isRead;
    this.receivedAt = init.receivedAt;
    this.createdAt = init.createdAt;
    this.modifiedAt = init.createdAt;
  }

  id(immutable: boolean): string {
    return immutable ? this.immutableId : this.mutableId;
  }

  get changeKey(): string {
    const digest = createHash('sha256').update(`${this.immutableId}/${this.version}`).digest('base64');
    return `CQAAABYAAA${digest.slice(0, 22).replace(/[+/]/g, 'x')}`;
  }

  /** The derived type of meeting mail; undefined for a plain message. */
  get odataType(): string | undefined {
    const method = this.content.meetingMethod;
    if (method === 'REQUEST' || method === 'CANCEL') return '#microsoft.graph.eventMessageRequest';
    if (method === 'REPLY' || method === 'COUNTER') return '#microsoft.graph.eventMessageResponse';
    return method === undefined ? undefined : '#microsoft.graph.eventMessage';
  }

  /** An extended property, written by a client or kept by the service itself. `id` in Exchange's form. */
  extendedValue(id: string): string | undefined {
    const written = this.extended.get(id);
    if (written !== undefined) return written;
    const header = (name: string) => this.content.fields.headers.find((one) => one.name.toLowerCase() === name)?.value;
    if (id === messageIdId) return this.content.fields.messageId;
    if (id === inReplyToId) return header('in-reply-to');
    if (id === referencesId) return header('references');
    return sizeIds.includes(id) ? String(this.size()) : undefined;
  }

  /** Bytes of the MIME: written out once more where it is not kept. */
  size(): number {
    let size = 0;
    for (const piece of this.mime()) size += piece.length;
    return size;
  }

  mime(): Iterable<Buffer> {
    return this.rebuilt ? [this.rebuilt] : this.content.pieces();
  }
}

/** A mail folder. Its id stays for good and is the same whatever kind of ids a request asks for. */
export class Folder {
  readonly id = ids.next();
  readonly parent: Folder | undefined;
  /** Lower case, such as `inbox`. */
  readonly wellKnownName: string | undefined;
  readonly isHidden: boolean;
  displayName: string;
  readonly children: Folder[] = [];
  /** By immutable id, in the order of arrival. */
  readonly items = new Map<string, Item>();
  readonly log = new ChangeLog();

  constructor(displayName: string, parent?: Folder, options: FolderOptions = {}) {
    this.displayName = displayName;
    this.parent = parent;
    this.wellKnownName = options.wellKnownName;
    this.isHidden = options.isHidden ?? false;
    parent?.children.push(this);
  }
}

export interface FolderOptions {
  readonly wellKnownName?: string;
  readonly isHidden?: boolean;
}

/** What happened to a message in a folder, as subscriptions name it. */
export type ChangeType = 'created' | 'updated' | 'deleted';
