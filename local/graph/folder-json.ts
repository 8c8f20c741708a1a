import type { Folder } from './item.ts';

const names = [
  'id',
  'displayName',
  'parentFolderId',
  'childFolderCount',
  'unreadItemCount',
  'totalItemCount',
  'isHidden',
];
export const folderProperties: ReadonlySet<string> = new Set(names);

/** A folder as Graph's type `mailFolder`, whole or with the properties of `$select`. */
export function folderJson(folder: Folder, select: readonly string[] | undefined): Record<string, unknown> {
  const items = [...folder.items.values()];
  const own: Record<string, unknown> = {
    id: folder.id,
    displayName: folder.displayName,
    // The root is its own parent's child in Exchange; clients only ever follow it downwards.
    parentFolderId: folder.parent?.id ?? folder.id,
    childFolderCount: folder.children.length,
    unreadItemCount: items.filter((item) => !item.isRead).length,
    totalItemCount: items.length,
    isHidden: folder.isHidden,
  };
  return select ? { id: folder.id, ...Object.fromEntries(select.map((name) => [name, own[name]])) } : own;
}
