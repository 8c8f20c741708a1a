import { storeAttachment } from './attachment.ts';
import { Content } from './content.ts';
import type { Corruption, Folder, Item } from './item.ts';
import type { Mailbox, PurgedItem } from './mailbox.ts';

export interface DeliverOptions {
  /** Well-known name, id, or path of display names below the root (`Inbox/Projects`), made where it is missing. */
  readonly folder?: string;
  /** Milliseconds since the epoch; default: now. Whole seconds count. */
  readonly receivedAt?: number;
  readonly isDraft?: boolean;
  readonly isRead?: boolean;
  /** What `$value` answers instead of the very bytes: Exchange rebuilds MIME, and need not do it byte for byte. */
  readonly rebuilt?: Buffer;
}

/** A message as a test looks at it. */
export interface MailState {
  readonly immutableId: string;
  /** The default id, which changes at every move. */
  readonly id: string;
  readonly folder: string;
  readonly folderId: string;
  readonly subject: string;
  readonly messageId: string;
  readonly isRead: boolean;
  readonly isDraft: boolean;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly categories: readonly string[];
  readonly extendedProperties: Readonly<Record<string, string>>;
  bytes(): Buffer;
}

export interface FolderState {
  readonly id: string;
  /** Display names from the root's children on, joined by `/`. */
  readonly path: string;
  readonly wellKnownName: string | undefined;
  readonly mails: number;
}

/** A mailbox in the hands of its user, and of a test. Messages are named by their immutable id, or the default one. */
export class MailboxControl {
  readonly #mailbox: Mailbox;
  readonly #now: () => number;

  constructor(mailbox: Mailbox, now: () => number) {
    this.#mailbox = mailbox;
    this.#now = now;
  }

  get userId(): string {
    return this.#mailbox.userId;
  }

  get userPrincipalName(): string {
    return this.#mailbox.userPrincipalName;
  }

  /** Puts a mail into the mailbox, as transport does. `bytes` is kept, not copied. */
  deliver(bytes: Buffer, options: DeliverOptions = {}): MailState {
    const receivedAt = options.receivedAt ?? this.#now();
    const folder = this.#folder(options.folder ?? 'inbox', true);
    const item = this.#mailbox.put(folder, Content.fromMime(bytes, receivedAt), {
      isDraft: options.isDraft ?? false,
      isRead: options.isRead ?? false,
      receivedAt,
    });
    item.rebuilt = options.rebuilt;
    return stateOf(item);
  }

  /** What a folder holds, in the order of arrival; without a folder: all that clients can see. */
  mails(folder?: string): readonly MailState[] {
    const folders = folder === undefined ? this.#allFolders() : [this.#folder(folder, false)];
    return folders.flatMap((one) => [...one.items.values()].map(stateOf));
  }

  /** Undefined when it is gone, or cannot be found for a while after it was sent. */
  mail(id: string): MailState | undefined {
    const item = this.#find(id);
    return item && item.folder !== this.#mailbox.delayedMail.folder ? stateOf(item) : undefined;
  }

  move(id: string, folder: string): MailState {
    const item = this.#item(id);
    this.#mailbox.move(item, this.#folder(folder, true));
    return stateOf(item);
  }

  /** To Deleted Items, or for good. */
  delete(id: string, mode: 'trash' | 'permanent' = 'trash'): void {
    if (mode === 'permanent') this.#mailbox.purge(this.#item(id));
    else this.move(id, 'deleteditems');
  }

  mark(id: string, isRead: boolean): void {
    const item = this.#item(id);
    if (item.isRead === isRead) return;
    item.isRead = isRead;
    this.#mailbox.changed(item, ['isRead']);
  }

  categorize(id: string, categories: readonly string[]): void {
    const item = this.#item(id);
    item.categories = categories;
    this.#mailbox.changed(item, ['categories']);
  }

  /** Makes an item fail where Exchange has been seen to fail; `{}` heals it. */
  corrupt(id: string, corruption: Corruption): void {
    this.#item(id).corruption = corruption;
  }

  /** A link to a file in the cloud, which has no content. */
  attachReference(id: string, name: string): void {
    this.#item(id).content.add(storeAttachment({ kind: 'reference', name, chunks: [] }));
  }

  /** Makes a folder by its path of display names; answers it where it is there already. */
  createFolder(path: string): FolderState {
    return this.#state(this.#folder(path, true));
  }

  renameFolder(folder: string, displayName: string): void {
    this.#folder(folder, false).displayName = displayName;
  }

  /** With all it holds. */
  removeFolder(folder: string): void {
    this.#mailbox.removeFolder(this.#folder(folder, false));
  }

  folders(): readonly FolderState[] {
    return this.#allFolders().map((folder) => this.#state(folder));
  }

  /** What clients have deleted for good. */
  purged(): readonly PurgedItem[] {
    return [...this.#mailbox.purged];
  }

  /** Ends every delta token there is: their next use is answered with 410. */
  expireDeltas(): void {
    this.#mailbox.deltas.expireAll();
  }

  #state(folder: Folder): FolderState {
    return { id: folder.id, path: pathOf(folder), wellKnownName: folder.wellKnownName, mails: folder.items.size };
  }

  #allFolders(): readonly Folder[] {
    const below = (folder: Folder): readonly Folder[] => folder.children.flatMap((one) => [one, ...below(one)]);
    return [...below(this.#mailbox.root), this.#mailbox.wellKnown('recoverableitemsdeletions')];
  }

  #find(id: string): Item | undefined {
    const known = this.#mailbox.peek(id);
    if (known) return known;
    for (const folder of this.#allFolders()) {
      for (const item of folder.items.values()) if (item.mutableId === id) return item;
    }
    return undefined;
  }

  #item(id: string): Item {
    const found = this.#find(id);
    if (!found) throw new Error('There is no such mail');
    return found;
  }

  #folder(reference: string, make: boolean): Folder {
    try {
      return this.#mailbox.folder(reference);
    } catch {
      // No id and no well-known name: a path.
    }
    let folder = this.#mailbox.root;
    for (const name of reference.split('/')) {
      const wanted = name.toLowerCase();
      const child = folder.children.find(
        (one) =>
          one.displayName.toLowerCase() === wanted ||
          (one.parent?.parent === undefined && one.wellKnownName === wanted),
      );
      if (!child && !make) throw new Error(`There is no folder ${reference}`);
      folder = child ?? this.#mailbox.createFolder(folder, name);
    }
    return folder;
  }
}

function stateOf(item: Item): MailState {
  const { folder, content } = item;
  return {
    immutableId: item.immutableId,
    id: item.mutableId,
    folder: pathOf(folder),
    folderId: folder.id,
    subject: content.fields.subject,
    messageId: content.fields.messageId,
    isRead: item.isRead,
    isDraft: item.isDraft,
    receivedAt: item.receivedAt,
    categories: item.categories,
    extendedProperties: Object.fromEntries(item.extended),
    bytes: () => Buffer.concat([...item.mime()]),
  };
}

function pathOf(folder: Folder): string {
  return folder.parent?.parent ? `${pathOf(folder.parent)}/${folder.displayName}` : folder.displayName;
}
