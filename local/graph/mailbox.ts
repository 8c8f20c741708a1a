import { randomUUID } from 'node:crypto';
import type { Address } from './address.ts';
import type { Content } from './content.ts';
import { DelayedMail } from './delayed-mail.ts';
import { DeltaStates } from './delta-states.ts';
import { itemNotFound, malformedId } from './graph-error.ts';
import { IdMaker, isWellFormedId } from './ids.ts';
import { type ChangeType, Folder, Item } from './item.ts';
import { type WellKnownName, wellKnownFolders } from './well-known-folders.ts';

export interface MailboxOptions {
  readonly userPrincipalName: string;
  /** The user's object id, a GUID. Absent: made up. */
  readonly userId?: string;
  readonly displayName?: string;
  /** Further addresses of this mailbox. */
  readonly aliases?: readonly string[];
  /** Addresses of others that it may send as (SendAs, SendOnBehalf). */
  readonly sendAs?: readonly string[];
  /** Names of x- headers that somebody has sent as properties before: only those survive in MIME. */
  readonly registeredHeaders?: readonly string[];
  /** Bytes of MIME. Exchange Online's default is 35 MB, and administrators may set up to 150 MB. */
  readonly maxMessageSize?: number;
  /** Display names of well-known folders, as in a mailbox of another language. */
  readonly folderNames?: Readonly<Partial<Record<WellKnownName, string>>>;
  /** Puts a Message-ID of its own into every message that is written as MIME. */
  readonly ownMessageIds?: boolean;
  /** False: the user has no mailbox in the cloud (no licence, on-premises). */
  readonly enabled?: boolean;
}

/** Something that is gone for good, as far as clients can see. */
export interface PurgedItem {
  readonly immutableId: string;
  readonly messageId: string;
  readonly at: number;
}

const defaultMaxMessageSize = 35 * 1024 * 1024;
const maxItems = 200_000;
const maxFolders = 1000;
const maxPurged = 10_000;

const mutableIds = new IdMaker('mutable');
const immutableIds = new IdMaker('immutable');

/** The mailbox of one user: folders, messages, and the changes that deltas report. In memory. */
export class Mailbox {
  readonly userId: string;
  readonly userPrincipalName: string;
  readonly owner: Address;
  readonly addresses: ReadonlySet<string>;
  readonly sendAs: ReadonlySet<string>;
  readonly registeredHeaders: Set<string>;
  readonly maxMessageSize: number;
  readonly ownMessageIds: boolean;
  readonly enabled: boolean;
  readonly root = new Folder('Top of Information Store', undefined, { wellKnownName: 'msgfolderroot' });
  readonly deltas = new DeltaStates();
  readonly delayedMail: DelayedMail;
  readonly purged: PurgedItem[] = [];
  /** Called with each message that a folder has got, lost, or holds in another form. */
  onChange: ((folder: Folder, changeType: ChangeType, item: Item) => void) | undefined;
  readonly #folders = new Map<string, Folder>();
  readonly #wellKnown = new Map<string, Folder>();
  readonly #items = new Map<string, Item>();
  readonly #byMutableId = new Map<string, Item>();
  readonly #now: () => number;
  #sequence = 0;

  constructor(options: MailboxOptions, now: () => number) {
    this.#now = now;
    this.userId = options.userId ?? randomUUID();
    this.userPrincipalName = options.userPrincipalName;
    this.owner = { name: options.displayName ?? '', address: options.userPrincipalName };
    this.addresses = lowerCase([options.userPrincipalName, ...(options.aliases ?? [])]);
    this.sendAs = lowerCase(options.sendAs ?? []);
    this.registeredHeaders = new Set(lowerCase(options.registeredHeaders ?? []));
    this.maxMessageSize = options.maxMessageSize ?? defaultMaxMessageSize;
    this.ownMessageIds = options.ownMessageIds ?? false;
    this.enabled = options.enabled ?? true;
    this.#keep(this.root);
    for (const [wellKnownName, name] of wellKnownFolders) {
      this.#keep(new Folder(options.folderNames?.[wellKnownName] ?? name, this.root, { wellKnownName }));
    }
    const recoverable = new Folder('Recoverable Items', undefined, { isHidden: true });
    for (const [wellKnownName, name] of [
      ['recoverableitemsdeletions', 'Deletions'],
      ['recoverableitemspurges', 'Purges'],
    ] as const) {
      this.#keep(new Folder(name, recoverable, { wellKnownName, isHidden: true }));
    }
    this.delayedMail = new DelayedMail(now, (item) => this.move(item, this.wellKnown('sentitems'), item.mutableId));
  }

  /** Rises with every change. */
  get sequence(): number {
    return this.#sequence;
  }

  /** By id or well-known name in any letter case. Throws what Graph answers when there is none. */
  folder(reference: string): Folder {
    const found = this.#folders.get(reference) ?? this.#wellKnown.get(reference.toLowerCase());
    if (found) return found;
    throw isWellFormedId(reference) ? itemNotFound() : malformedId();
  }

  wellKnown(name: WellKnownName): Folder {
    const folder = this.#wellKnown.get(name);
    if (!folder) throw new Error(`There is no folder ${name}`);
    return folder;
  }

  createFolder(parent: Folder, displayName: string, isHidden = false): Folder {
    if (this.#folders.size >= maxFolders) throw new Error('The mailbox has too many folders');
    return this.#keep(new Folder(displayName, parent, { isHidden }));
  }

  /** Takes a folder away with all it holds. */
  removeFolder(folder: Folder): void {
    for (const child of [...folder.children]) this.removeFolder(child);
    for (const item of [...folder.items.values()]) this.purge(item);
    folder.parent?.children.splice(folder.parent.children.indexOf(folder), 1);
    this.#folders.delete(folder.id);
  }

  /** By either of its ids. Throws what Graph answers when there is none. */
  item(reference: string): Item {
    const found = this.#items.get(reference) ?? this.#byMutableId.get(reference);
    if (!found) throw isWellFormedId(reference) ? itemNotFound() : malformedId();
    if (this.delayedMail.isDelayed(found)) throw itemNotFound();
    return found;
  }

  /** A message by its immutable id; never throws, and sees also what is on its way. */
  peek(immutableId: string): Item | undefined {
    return this.#items.get(immutableId);
  }

  put(folder: Folder, content: Content, init: { isDraft: boolean; isRead: boolean; receivedAt?: number }): Item {
    if (this.#items.size >= maxItems) throw new Error('The mailbox has too many messages');
    const now = this.#now();
    const item = new Item({
      immutableId: immutableIds.next(),
      mutableId: mutableIds.next(),
      folder,
      content,
      isDraft: init.isDraft,
      isRead: init.isRead,
      // Graph knows whole seconds.
      receivedAt: Math.floor((init.receivedAt ?? now) / 1000) * 1000,
      createdAt: now,
    });
    this.#items.set(item.immutableId, item);
    this.#byMutableId.set(item.mutableId, item);
    folder.items.set(item.immutableId, item);
    folder.log.created(item, ++this.#sequence);
    this.onChange?.(folder, 'created', item);
    return item;
  }

  /** Its default id changes, its immutable id stays. */
  move(item: Item, folder: Folder, mutableId = mutableIds.next()): void {
    this.#leave(item);
    this.#byMutableId.delete(item.mutableId);
    item.mutableId = mutableId;
    this.#byMutableId.set(mutableId, item);
    item.folder = folder;
    folder.items.set(item.immutableId, item);
    folder.log.created(item, ++this.#sequence);
    this.#touch(item);
    this.onChange?.(folder, 'created', item);
  }

  /** Says that properties of a message have changed. */
  changed(item: Item, properties: readonly string[]): void {
    item.folder.log.updated(item.mutableId, properties, ++this.#sequence);
    this.#touch(item);
    this.onChange?.(item.folder, 'updated', item);
  }

  /** To Purges: no client can see it any more. */
  purge(item: Item): void {
    this.#leave(item);
    this.#items.delete(item.immutableId);
    this.#byMutableId.delete(item.mutableId);
    this.purged.push({
      immutableId: item.immutableId,
      messageId: item.content.fields.messageId,
      at: this.#now(),
    });
    if (this.purged.length > maxPurged) this.purged.shift();
  }

  #leave(item: Item): void {
    item.folder.items.delete(item.immutableId);
    item.folder.log.removed(item.mutableId, ++this.#sequence);
    this.onChange?.(item.folder, 'deleted', item);
  }

  #touch(item: Item): void {
    item.version++;
    item.modifiedAt = this.#now();
  }

  #keep(folder: Folder): Folder {
    this.#folders.set(folder.id, folder);
    if (folder.wellKnownName !== undefined) this.#wellKnown.set(folder.wellKnownName, folder);
    return folder;
  }
}

function lowerCase(texts: readonly string[]): ReadonlySet<string> {
  return new Set(texts.map((text) => text.toLowerCase()));
}
