import { ChangeLog } from './change-log.ts';
import { IdMaker } from './ids.ts';
import type { Item } from './item.ts';

const ids = new IdMaker('folder');

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

/** Names and English display names (Microsoft Graph, "mailFolder resource type"); below the root unless hidden. */
export const wellKnownFolders = [
  ['inbox', 'Inbox'],
  ['drafts', 'Drafts'],
  ['sentitems', 'Sent Items'],
  ['deleteditems', 'Deleted Items'],
  ['junkemail', 'Junk Email'],
  ['archive', 'Archive'],
  ['outbox', 'Outbox'],
] as const;

export type WellKnownName =
  | (typeof wellKnownFolders)[number][0]
  | 'msgfolderroot'
  | 'recoverableitemsdeletions'
  | 'recoverableitemspurges';
